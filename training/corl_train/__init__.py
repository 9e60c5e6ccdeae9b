"""corl-train: the side of the project that trains controllers for corl-bench to measure.

It imports `corl_bench`, never the reverse: what trains is the evaluation loop itself.
"""
