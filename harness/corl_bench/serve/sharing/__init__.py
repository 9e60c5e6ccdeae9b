"""A pool behind one address for many workers: one store, one cap, one set of books.

`server.share_pool` is the way in, `corl-bench pool share` its verb and docs/sharing.md its manual.
"""
