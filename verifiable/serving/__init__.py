"""A committed trace, served and fetched by digest.

`source` says what a store is and reads folders, `stored` finds objects in a stored run, `server`
gives them out over HTTP, `web` reads them there, `client` asks and checks.
"""
