"""Cards: what has been measured of an expert, in a form that a listing of the pool can print.

A card holds how often the expert was right, by subject, how often it gave no answer, and the
token counts of a few typical calls. It holds no dollars: what a call costs follows from the
token counts and the price in force, so an expert that is re-priced keeps its card.

Invariant: a card is made of replies alone, those that were recorded or drawn on training problems,
so that whatever can be recorded can be carded.

    card = measure([Trial("Geometry", True, 80, 440), Trial("Geometry", False, 80, 520)])
    card.trust("Geometry"), card.costs_usd(price)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from corl_bench.errors import ConfigError
from corl_bench.money.prices import Price
from corl_bench.types import Usage

OVERALL = "all"
"""What files and listings call all subjects together."""
TYPICAL_CALLS = 10
"""Calls that stand for all: those in the middle of each tenth, from short to long."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One reply of an expert to a problem whose answer is known."""

    subject: str
    """Empty where the problem names none."""
    right: bool
    input_tokens: int
    output_tokens: int
    silent: bool = False
    """It gave no answer that could be right."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of an expert before it is asked."""

    right: Mapping[str, float]
    """By subject: how probably a reply is right; under "" over all of them."""
    silent: float
    """How probably a reply has no answer."""
    calls: tuple[tuple[int, int], ...]
    """Input and output tokens of typical calls, from short to long."""
    trials: int
    """Replies that it was measured on."""

    def trust(self, subject: str) -> float:
        """In a subject, or over all where nothing is known of it."""
        return self.right.get(subject, self.right[""])

    def costs_usd(self, price: Price) -> tuple[float, ...]:
        """What the typical calls cost at a price, from cheap to dear; floats, for decisions."""
        return tuple(
            sorted(
                float(price.cost_usd(Usage(input_tokens=read, output_tokens=said)))
                for read, said in self.calls
            )
        )


def measure(trials: Iterable[Trial]) -> Card:
    """The card of an expert.

    Shares are (right + 2 p) / (asked + 2) with p over all subjects, and of those (right + 1) /
    (asked + 2): what few replies say of a subject is drawn towards the whole.

    Args:
        trials: its replies.

    Raises:
        ConfigError: there is none, or a subject has the name of all of them.
    """
    told = list(trials)
    if not told:
        raise ConfigError("a card needs replies to problems whose answers are known")
    if any(trial.subject == OVERALL for trial in told):
        raise ConfigError(
            f"a subject is called {OVERALL!r}, which is what a card calls all of them: rename it"
        )
    overall = (sum(trial.right for trial in told) + 1) / (len(told) + 2)
    right = {"": overall}
    for subject in sorted({trial.subject for trial in told if trial.subject}):
        own = [trial.right for trial in told if trial.subject == subject]
        right[subject] = (sum(own) + 2 * overall) / (len(own) + 2)
    return Card(
        right=right,
        silent=sum(trial.silent for trial in told) / len(told),
        calls=_typical([(trial.input_tokens, trial.output_tokens) for trial in told]),
        trials=len(told),
    )


def _typical(calls: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Calls in the middle of each tenth, by output and then by input."""
    ordered = sorted(calls, key=lambda call: (call[1], call[0]))
    return tuple(
        ordered[(2 * tenth + 1) * len(ordered) // (2 * TYPICAL_CALLS)]
        for tenth in range(TYPICAL_CALLS)
    )
