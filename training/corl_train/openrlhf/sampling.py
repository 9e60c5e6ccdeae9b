"""How a turn is sampled: a private copy of OpenRLHF's parameters, with our stops and our cap.

OpenRLHF 0.11.2 hands one `SamplingParams` to all rollouts of a prompt (`generate_responses` in
trainer/ray/vllm_engine.py), without stop strings and with `max_tokens` either None or the whole
response's `--rollout.max_new_tokens`; its own multi-turn loop then writes what is left of the
context into that shared object before each turn (utils/agent.py), so no turn has a cap. Here
the object is never changed: each turn has a copy of its own.

    params = private_sampling(given, stops=protocol.stops, max_tokens=256)
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any


def private_sampling(given: Any, *, stops: Sequence[str], max_tokens: int) -> Any:
    """A copy of vLLM's `SamplingParams` for one turn.

    Args:
        given: what OpenRLHF wants: temperature, nucleus, whether log-probabilities are wanted.
        stops: strings that end the turn. They stay in its text as they do in its tokens: vLLM
            otherwise takes the string from the text alone, and the two would differ.
        max_tokens: of this turn.
    """
    own = deepcopy(given)
    own.n = 1
    own.stop = list(stops)
    own.include_stop_str_in_output = True
    own.max_tokens = max_tokens
    own.min_tokens = min(getattr(given, "min_tokens", None) or 0, max_tokens)
    return own
