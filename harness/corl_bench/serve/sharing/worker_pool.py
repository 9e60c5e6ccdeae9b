"""The pool file that workers ask a shared pool with.

Invariant: a request that is made with it has the key that the same request has where the pool
itself is asked, so that recordings of either serve both.

    path.write_text(worker_pool(pool, "http://127.0.0.1:8200/v1", key_env="SHARE_KEY"))
    corl-bench run --pool worker.toml
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from corl_bench.experts.base import Pool
from corl_bench.experts.pool_text import pool_text
from corl_bench.experts.transport import is_loopback

PATIENCE = 4
"""How many times as long as the pool's server waits for an attempt a worker waits for all."""

MAX_ATTEMPTS = 12
"""Of a worker at a server that is not there: about three minutes, enough for a restart. What
the server itself could not get is not asked for again."""


def worker_pool(pool: Pool, base_url: str, *, key_env: str | None) -> str:
    """Writes the pool file of workers.

    Args:
        pool: what is shared.
        base_url: the server's address as workers reach it, with its `/v1`.
        key_env: the variable that holds the server's key on their machines.
    """
    over_http = key_env is not None and not is_loopback(urlsplit(base_url).hostname or "")
    return pool_text(
        f"{pool.name}-shared",
        [
            replace(
                spec,
                provider="openai",
                model=spec.name,
                base_url=base_url,
                key_env=key_env,
                key_over_http=over_http and base_url.startswith("http:"),
                send_seed=True,
                timeout_s=PATIENCE * spec.timeout_s,
                max_attempts=MAX_ATTEMPTS,
                # All of the sampling travels, whatever the expert's name looks like.
                options={"parameters": "plain"},
                usage="required",
            )
            for spec in pool.experts
        ],
        price_date=pool.price_date,
        budgets=pool.budgets,
        note="Experts behind one shared server, written by `corl-bench pool share`.",
        simulation={"served": True} if pool.simulated else None,
    )
