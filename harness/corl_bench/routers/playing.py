"""One episode from opening to closing, without a verdict: a system at work, kept in bounds.

Whatever a system does (raises, cancels itself, leaves calls behind, will not end), the episode is
over when `play` returns: its calls are settled, later ones are refused, and either there is a
response or a line that says why there is none. What it is worth is for others to say.

    opening = partial(Episode, key=key, problem=problem, prompt=prompt, experts=…, caller=…, …)
    episode, response, failure = await play(system, budget, problem.text, opening)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from corl_bench.episode import Episode
from corl_bench.errors import CorlError
from corl_bench.routers.base import Router
from corl_bench.routers.decisions import Closing, faults
from corl_bench.types import Budget

GRACE_S = 1.0
"""How long a system may take to end when its episode has no future."""
CLOSING_S = 10.0
"""How long a system may take to give back what it holds."""


async def play(
    system: Router,
    budget: Budget | None,
    text: str,
    opening: Callable[..., Episode],
) -> tuple[Episode, str | None, str]:
    """One episode without a verdict: what the system answered, and what went wrong if anything.

    Args:
        system: who answers.
        budget: what it is told of dollars.
        text: all that it is told of the problem.
        opening: makes the episode; all of its arguments are given but `on_abort`.

    Returns:
        The episode, closed; the response, None where there is none; why it failed, else empty.

    Raises:
        CapReachedError: the cap cut it short, whatever the system made of that.
        StoppedError: the stop of the run cut it short.
    """
    aborting: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    episode = opening(on_abort=aborting.cancel)
    # In a task of its own a system can neither cancel the run nor outlast it.
    solving = asyncio.create_task(_solve(system, text, budget, episode))
    # Its error may never be looked at (a cap has ended the episode), and that is no news.
    solving.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.wait([solving, aborting], return_when=asyncio.FIRST_COMPLETED)
        await episode.settled()
    except asyncio.CancelledError:
        await _end(solving)
        raise
    finally:
        episode.close()
    if episode.aborted:
        await _end(solving)
        raise episode.aborted
    response, failure = _outcome(solving)
    failed = [call for call in episode.calls if call.status != "ok"]
    if not failure and response is None and failed:
        failure = f"{failed[-1].expert}: {failed[-1].status}: {failed[-1].detail}"
    return episode, response, failure


async def dismiss(system: Router) -> None:
    """Has a system give back what it holds; what goes wrong in that changes no result."""
    if isinstance(system, Closing):
        with contextlib.suppress(CorlError), faults():
            await asyncio.wait_for(system.aclose(), CLOSING_S)


async def _solve(system: Router, text: str, budget: Budget | None, episode: Episode) -> str | None:
    """What the system answers; an attempt to leave the program is an error like any other."""
    try:
        return await system.solve(text, budget, episode)
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise RuntimeError(f"the system raised {type(error).__name__}") from error


async def _end(solving: asyncio.Task[str | None]) -> None:
    """Lets a system go that has nothing to win any more; one that does not go is left behind."""
    if solving.done():
        return
    try:
        await asyncio.wait({solving}, timeout=GRACE_S)
    finally:
        # Also where a second cancellation ends the wait: a call that was left on the wire would
        # be cut off by the closing of its connection, and stand as a failure of the provider.
        solving.cancel()
        await asyncio.wait({solving}, timeout=GRACE_S)


def _outcome(solving: asyncio.Task[str | None]) -> tuple[str | None, str]:
    """The response, and what went wrong if anything did."""
    if solving.cancelled():
        return None, "the system cancelled itself"
    error = solving.exception()
    if error is not None:
        return None, " ".join(f"{type(error).__name__}: {error}".split())[:500]
    response = solving.result()
    if response is not None and not isinstance(response, str):
        return None, f"the system returned {type(response).__name__}, not text"
    return response, ""
