"""What the runs of these tests are made of: a pool behind a server, problems, an environment."""

from __future__ import annotations

import json
import os


def environment(**more: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | more


def pool_toml(
    url: str,
    *,
    provider: str = "openai",
    timeout_s: float = 5.0,
    name: str = "a",
    model: str = "gpt-4.1",
) -> str:
    return (
        f'[experts.{name}]\nprovider = "{provider}"\nmodel = "{model}"\nbase_url = "{url}"\n'
        f"max_output_tokens = 200\ntimeout_s = {timeout_s}\nmax_attempts = 3\n"
        'price = { input_usd_per_mtok = "2", cached_input_usd_per_mtok = "0.5",'
        ' output_usd_per_mtok = "8", effective_from = 2026-01-01, source = "test" }\n'
    )


def problems(count: int) -> str:
    rows = (
        {"id": str(n), "problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)
