"""local-llm-router (0.4.1), keyword rules for four tiers: `pip install local-llm-router`.

In this folder:

    corl-bench run --task synth -s python:local_llm:route
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local_llm_router import TierMap, route_prompt


def route(prompt: str, experts: Sequence[Any]) -> str:
    """The expert of the prompt's tier; the tiers are spread evenly over the price list."""
    last = len(experts) - 1
    names = [experts[round(last * tier / 3)].name for tier in range(4)]
    _, chosen = route_prompt(prompt, TierMap(*names))
    return str(chosen)
