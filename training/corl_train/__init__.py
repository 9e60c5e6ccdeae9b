"""corl-train: trains the controller that corl-bench measures."""
