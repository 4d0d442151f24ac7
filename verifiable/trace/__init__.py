"""Runs with every tensor committed.

`commit` makes the roots, `store` keeps the bytes, `opening` proves a part of one tensor, `compare`
finds where two runs part.
"""
