"""Where the episodes of a run are played.

An engine is handed the plan and the run's caller, and gives back what makes one episode. Whatever
the engine, the caller is the run's own: one store, one journal and ledger, one cap. What comes
back is written by the run alone, so engines are no part of what a run is, and one that was begun
on one engine goes on on another.

    async with in_process(plan, caller, print) as make:
        record, call_ids = await make(job)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Protocol

from corl_bench.experts.caller import Answering
from corl_bench.runs.execute import GRADING_THREADS, Make, make_episode
from corl_bench.runs.plan import Plan


class Engine(Protocol):
    """Opens what plays episodes."""

    def __call__(
        self, plan: Plan, caller: Answering, say: Callable[[str], None]
    ) -> AbstractAsyncContextManager[Make]:
        """Opens it before anything is paid for.

        Args:
            plan: what the run is.
            caller: answers the calls of episodes, and is nobody else's.
            say: is told what the user should know.

        Raises:
            ConfigError: it cannot play the plan; says what would mend that.
        """
        ...


@asynccontextmanager
async def in_process(
    plan: Plan, caller: Answering, say: Callable[[str], None]
) -> AsyncIterator[Make]:
    """Plays episodes here; arguments as of `Engine`."""
    with ThreadPoolExecutor(GRADING_THREADS, thread_name_prefix="grading") as threads:
        yield partial(make_episode, plan=plan, caller=caller, threads=threads)
