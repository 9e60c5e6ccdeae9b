"""wayfinder-router (2026.7.0), a scorer of a prompt's structure: `pip install wayfinder-router`.

In this folder:

    corl-bench run --task synth -s python:wayfinder:score@threshold=0.5
    corl-bench run --task synth -s python:wayfinder:score@share=0.3 --train synth:train

Its score is rounded to two decimals, so many questions tie; the share is kept by the bench's rule.
"""

from __future__ import annotations

from wayfinder_router import score_complexity


def score(prompt: str) -> float:
    """From 0 to 1: how heavy the prompt's structure is."""
    return float(score_complexity(prompt).score)
