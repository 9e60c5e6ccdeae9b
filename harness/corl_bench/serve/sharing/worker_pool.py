"""The pool file that workers ask a shared pool with.

Invariant: a run with it differs from one with the pool itself only in where its experts are asked.
Names, models, prices, cards, sampling, what counts as usage: all of it is the pool's, so digest and
requests' keys are the pool's as well, and recordings of either serve both. How long a worker waits
follows from what the server promises.

    path.write_text(worker_pool(pool, "http://127.0.0.1:8200/v1", key_env="SHARE_KEY"))
    corl-bench run --pool worker.toml
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.pool_file import check_address
from corl_bench.experts.pool_text import pool_text
from corl_bench.experts.transport import is_loopback

_ANY_HOST = ("", "0.0.0.0", "::")
"""Where a server listens on all addresses, and nobody can ask."""

MARGIN_S = 30.0
"""What a worker waits for an answer beyond the time within which the server gives one."""

MAX_ATTEMPTS = 12
"""Of a worker at a server that is not there. The eleven waits between them take from 91 to 181
seconds, by `limits.backoff_s`: enough for a restart."""


def worker_pool(
    pool: Pool, base_url: str, *, key_env: str | None, answer_s: float, seed: int = 0
) -> str:
    """Writes the pool file of workers.

    Args:
        pool: what is shared.
        base_url: the server's address as workers reach it, with its `/v1`.
        key_env: the variable that holds the server's key on their machines.
        answer_s: within it the server answers, if only that it is still asking.
        seed: the server's, of simulated experts.
    """
    shared: dict[str, object] = {"base_url": base_url}
    if key_env is not None:
        shared["key_env"] = key_env
        parts = urlsplit(base_url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            shared["key_over_http"] = True
    return pool_text(
        pool.name,
        [replace(e, base_url=None, key_env=None, key_over_http=False) for e in pool.experts],
        price_date=pool.price_date,
        budgets=pool.budgets,
        note="Experts behind one shared server, written by `corl-bench pool share`.",
        simulation=pool.options.get("simulation"),
        shared={
            **shared,
            "timeout_s": answer_s + MARGIN_S,
            "max_attempts": MAX_ATTEMPTS,
            "seed": seed,
            "pool": pool.digest,
        },
    )


def require_shareable(pool: Pool) -> None:
    """Refuses a pool with experts that no worker could ask through a server.

    Raises:
        ConfigError: names the first, and what would do instead.
    """
    for expert in pool.experts:
        if expert.provider == "recorded":
            raise ConfigError(
                f"expert {expert.name!r} is recorded: imported answers are found by their problem,"
                " which a worker's request does not name; name its provider in the pool"
            )
        if expert.provider == "routed" or expert.tariff is not None:
            raise ConfigError(
                f"expert {expert.name!r} routes by itself, and workers could not tell what its"
                " calls cost: let each name it as a system, --system endpoint:URL"
            )


def public_address(url: str | None, host: str, *, is_written: bool) -> str | None:
    """The address at which workers are to reach the server, where it is not its own.

    Args:
        url: as the user has named it, if so.
        host: where the server listens.
        is_written: whether a file for workers is wanted, which has to hold an address.

    Raises:
        ConfigError: it is no address, holds a password, or does not end in `/v1`; or there is
            none, and nobody on another machine could reach what the server listens on.
    """
    if url is None:
        if is_written and host in _ANY_HOST:
            raise ConfigError(
                f"--pool-out with --host {host}: workers cannot reach {host}, name this machine's"
                " address with --public-url http://ADDRESS:PORT/v1"
            )
        return None
    address = url.rstrip("/")
    try:
        check_address(address, None)
        parts = urlsplit(address)
        is_whole = parts.path.endswith("/v1") and not (parts.query or parts.fragment or "@" in url)
        is_whole = is_whole and parts.port != 0 and parts.hostname not in _ANY_HOST
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ConfigError(
            "--public-url must look like https://host/v1 or http://host:8200/v1, with no user or"
            " password in it"
        )
    return address
