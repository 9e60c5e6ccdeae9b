"""The provider `recorded` says what is missing, and bills nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, ProviderError, Request, Sampling
from corl_bench.experts.recorded import make
from corl_bench.money.prices import Price
from corl_bench.types import Message

PRICE = Price("m", date(2025, 1, 1), "https://example.org", Decimal(1), Decimal(2))


def spec(**options: object) -> ExpertSpec:
    return ExpertSpec("small", "recorded", "vendor/small", PRICE, options=options)


async def test_send_refuses_and_bills_nothing() -> None:
    provider = make(spec(), None)
    request = Request(spec(), (Message("user", "x"),), Sampling(), "What is 2 + 2?", sample=3)
    with pytest.raises(ProviderError) as caught:
        await provider.send(request)
    assert (caught.value.status, caught.value.retryable) == ("not_recorded", False)
    assert caught.value.billing == "none"
    assert caught.value.detail == "small answers from recordings only"
    await provider.aclose()


async def test_check_has_nothing_to_reach() -> None:
    check = await make(spec(), None).check()
    assert check.reachable is None
    assert check.detail == "answers from recordings only"


def test_options_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"expert small: .* remove delay, path"):
        make(spec(path="x", delay=1), None)
