"""The canonical graph: what engines run, referees adjudicate and provers prove.

`vocabulary` lists all there is, `ir` the instructions, `check` when they fit together, `encoding`
their canonical bytes and digests.
"""
