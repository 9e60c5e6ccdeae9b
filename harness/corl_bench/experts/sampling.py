"""What of an expert's sampling a system may change for one call, and to what.

override(spec.sampling, {"max_output_tokens": 100, "stop": ["</answer>"]})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Sampling


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "max_output_tokens": lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1,
    "temperature": lambda v: _is_number(v) and v >= 0,
    "top_p": lambda v: _is_number(v) and 0 <= v <= 1,
    "reasoning_effort": lambda v: isinstance(v, str),
    "stop": lambda v: isinstance(v, (list, tuple)) and all(isinstance(s, str) for s in v),
}


def override(own: Sampling, wanted: Mapping[str, Any]) -> Sampling:
    """An expert's parameters with a system's on top; None leaves the expert's own.

    Raises:
        ConfigError: an unknown parameter or a value that no provider could read. An output
            limit that is none would take a call out of the spending cap.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    for name, value in given.items():
        fits = _FITS.get(name)
        if fits is None:
            raise ConfigError(f"no sampling parameter {name!r}; there are {', '.join(_FITS)}")
        if not fits(value):
            raise ConfigError(f"sampling parameter {name}={value!r} is not usable")
    if "stop" in given:
        given["stop"] = tuple(given["stop"])
    return replace(own, **given) if given else own
