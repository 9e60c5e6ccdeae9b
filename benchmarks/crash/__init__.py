"""What `crash_points.py` is made of: a bench that kills, what kills leave, and each command."""
