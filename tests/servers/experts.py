"""Experts that stand at a test's server, and questions to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from corl_bench.experts.base import ExpertSpec, Request, Sampling
from corl_bench.money.prices import Price
from corl_bench.types import Message

KEY_ENV = "A_TEST_KEY"
KEY = "sk-test-51Hx9QpZr8"
ENVIRONMENT: Mapping[str, str] = {KEY_ENV: KEY}

PRICE = Price("m", date(2025, 4, 14), "tests", Decimal("2"), Decimal("8"), Decimal("0.5"))


def expert_at(base_url: str | None, **changes: Any) -> ExpertSpec:
    """A plain OpenAI expert with a key and an output limit, with `changes`."""
    fields: dict[str, Any] = {
        "name": "mid",
        "provider": "openai",
        "model": "gpt-4.1",
        "price": PRICE,
        "sampling": Sampling(max_output_tokens=400),
        "base_url": base_url,
        "key_env": KEY_ENV,
        "timeout_s": 10.0,
    }
    return ExpertSpec(**{**fields, **changes})


def ask(spec: ExpertSpec, *messages: Message, **changes: Any) -> Request:
    """A request with the expert's own sampling; without messages it asks for 6 times 7."""
    question = messages or (Message("user", "What is 6 times 7?"),)
    fields: dict[str, Any] = {
        "expert": spec,
        "messages": question,
        "sampling": spec.sampling,
        "problem_text": question[-1].content,
    }
    return Request(**{**fields, **changes})
