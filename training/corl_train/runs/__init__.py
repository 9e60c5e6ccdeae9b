"""The directory of a training run: what stands in it, whose it is, how a run stops and goes on.

`directory` says which run holds it, `files` what it has (and is read without torch), `lines` what
is told of an iteration, `checkpoints` what a run goes on from, `interruption` how it is stopped,
`tracking` where its figures go besides, and `hardware` what it takes of its machine.
"""
