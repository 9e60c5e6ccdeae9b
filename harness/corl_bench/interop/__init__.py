"""Results in and out: what others measured, and our runs in the formats of others.

`imports` reads files of other benchmarks and harnesses, `exports` writes our runs as theirs.
Everything that is imported stays marked as its author's word, see docs/interop.md.
"""
