"""Systems that decide once which expert answers, whoever it is that decides.

A decider is shown a `Question`: the statement, the experts on offer and the budget, and nothing
by which the problem could be known again (no id, gold, subject or level). `Deciding` turns it
into a routing system. It calls the expert that was chosen with the task's own prompt and answers
with the reply. A decider that fails, or names an expert that is not on offer, costs its episode
(verdict `error`, one line that says why), never the run.

    class Shortest:
        async def decide(self, question):
            return Choice(question.experts[0 if len(question.text) < 200 else -1].name)

    system = Deciding("shortest", Shortest(), digest="…")
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from corl_bench.errors import CorlError
from corl_bench.money.prices import cheapest_first
from corl_bench.types import Budget

if TYPE_CHECKING:
    from corl_bench.episode import Episode, ExpertInfo

FEE = "router fee"
"""What the fee of a decision is for, as the ledger names it."""

MAX_FAULT_CHARS = 400
"""Of what a router's exception says."""


class DecisionError(CorlError):
    """A decision that is none; it ends the episode in `error` with this one line."""


@dataclass(frozen=True, slots=True)
class Question:
    """All that a decider may see of a problem."""

    text: str
    """The statement, as a person would read it."""
    experts: tuple[ExpertInfo, ...]
    """On offer, from cheap to dear by the price of their output."""
    budget: Budget | None
    """Dollars for this problem, where the system reads budgets and one is given."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a decider says: who answers, and why if it likes."""

    expert: str
    """Alias in the pool."""
    note: str = ""
    """One line, kept as an event of the episode."""
    cost_usd: Decimal | None = None
    """What deciding cost, as the router says; booked as self-reported."""


class Decider(Protocol):
    """Anything that names an expert for a question; it may be asked many at a time."""

    async def decide(self, question: Question) -> Choice: ...


@runtime_checkable
class Closing(Protocol):
    """A decider, or a whole system, that holds something to be given back after the run."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Deciding:
    """A routing system that asks its decider and then one expert."""

    name: str
    decider: Decider
    reads_budget: bool = False
    is_oracle: bool = False
    fee_usd: Decimal = Decimal(0)
    """What a decision costs, as the user states it; booked with each."""
    digest: str = ""
    """What the system is made of, as hexadecimal sha256; part of a run's identity."""

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        """Asks the decider, then the expert that it names.

        Raises:
            DecisionError: it named nobody who is on offer; what it cost is booked all the same.
        """
        question = ask_about(problem, budget, episode)
        with faults():
            choice = await self.decider.decide(question)
        if self.fee_usd:
            episode.charge(self.fee_usd, FEE, basis="stated")
        return await follow(choice, question, episode)

    async def aclose(self) -> None:
        """Ends what the decider holds: a process, say."""
        if isinstance(self.decider, Closing):
            await self.decider.aclose()


def ask_about(problem: str, budget: Budget | None, episode: Episode) -> Question:
    """The question that an episode puts to a decider; a controller's own model is no expert."""
    return Question(problem, on_offer(episode.experts), budget)


def on_offer(experts: Iterable[ExpertInfo]) -> tuple[ExpertInfo, ...]:
    """Whom a decider may choose, from cheap to dear."""
    return tuple(cheapest_first(expert for expert in experts if expert.role == "expert"))


async def follow(choice: Choice, question: Question, episode: Episode) -> str | None:
    """Books what a choice cost, notes why it was made, and calls the expert that it names.

    Raises:
        DecisionError: it names nobody who is on offer.
    """
    if isinstance(choice, Choice):
        if choice.cost_usd:
            episode.charge(choice.cost_usd, FEE, basis="self_reported")
        if choice.note:
            episode.note(choice.note)
    return (await episode.call(checked(choice, question).expert)).text


def checked(choice: object, question: Question) -> Choice:
    """The choice, if it is one.

    Raises:
        DecisionError: it is not a `Choice` of an expert on offer.
    """
    if not isinstance(choice, Choice) or not isinstance(choice.expert, str):
        raise DecisionError(f"the router's decision names no expert: {shown(choice)}")
    names = [expert.name for expert in question.experts]
    if choice.expert not in names:
        near = get_close_matches(choice.expert, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise DecisionError(f"the router chose {shown(choice.expert)}, which is no expert; {hint}")
    return choice


@contextmanager
def faults() -> Iterator[None]:
    """Turns what foreign code raises into a `DecisionError`; it cannot leave the program by it."""
    try:
        yield
    except (CorlError, asyncio.CancelledError, GeneratorExit):  # the last closes a coroutine
        raise
    except BaseException as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_FAULT_CHARS]
        raise DecisionError(f"the router failed: {text}") from error


def shown(value: object, limit: int = 120) -> str:
    """A value from outside in one line of bounded length."""
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # whatever a foreign `__repr__` does
        text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}…"
