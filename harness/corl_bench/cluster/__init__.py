"""Runs whose episodes are played by workers on other machines.

`crew.py` is the run's side, `worker.py` the other end, `messages.py` and `assignment.py` what goes
between them; `ray_engine.py` has Ray start the workers. docs/cluster.md is the manual.
"""
