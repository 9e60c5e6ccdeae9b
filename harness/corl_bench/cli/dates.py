"""Days as options take them."""

from __future__ import annotations

from datetime import date

from corl_bench.errors import ConfigError


def read_day(text: str, option: str) -> date:
    """The day that an option names.

    Raises:
        ConfigError: it is not written as 2026-11-21.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} is no day; write it as 2026-11-21") from error
