"""What `soak.py` is made of: its two processes, what they hold, and what came of it."""
