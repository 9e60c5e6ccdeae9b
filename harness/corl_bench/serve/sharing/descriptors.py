"""Open files that a server of many connections needs, and whether the system grants them.

Invariant: a server that starts can accept as many requests at a time as it says.

    require_descriptors(4096, pool)
"""

from __future__ import annotations

import resource

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool

_OWN_FILES = 64
"""Store, books, log, the event loop's own: a few, with room to spare."""


def require_descriptors(max_in_flight: int, pool: Pool) -> None:
    """Raises this process's limit of open files as far as a server needs it.

    Args:
        max_in_flight: requests at a time, each of which has a connection.
        pool: whose experts are asked, each over up to `max_concurrency` connections.

    Raises:
        ConfigError: the system does not grant them.
    """
    needed = max_in_flight + sum(expert.max_concurrency for expert in pool.experts) + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{max_in_flight} requests at a time need {needed} open files, and the system grants"
            f" {hard}: lower --max-in-flight, or raise the limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
