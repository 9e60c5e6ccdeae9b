"""Math-Verify as its README uses it, under the signature that our harnesses ask for.

Maths has to stand between dollar signs or in a box to be found, so bare answers are wrapped.
"""

from __future__ import annotations

import logging

from math_verify import parse, verify

logging.getLogger("math_verify").setLevel(logging.CRITICAL)


def is_correct(gold: str, response: str) -> bool:
    """Whether Math-Verify takes the response for the gold."""
    return bool(verify(parse(_wrapped(gold)), parse(_wrapped(response))))


def _wrapped(text: str) -> str:
    return text if "$" in text or r"\boxed" in text or r"\(" in text else f"${text}$"
