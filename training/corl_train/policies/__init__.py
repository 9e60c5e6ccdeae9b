"""Models that can be the controller: what the trainer asks of one, and those there are."""
