"""Studies: what a trained controller does where it was not trained, a module each."""
