"""The verbs of `corl-train`, a module each; see `main`."""
