"""What a run does unless it is told otherwise; the command line shows it without importing runs."""

from __future__ import annotations

DEFAULT_CONCURRENCY = 64
"""Episodes at a time."""

OWN_STORE = "recordings.sqlite"
"""The recording store in a run's own directory."""
