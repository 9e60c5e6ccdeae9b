"""Random valid play of a protocol: what a policy is shown before it is rewarded.

The demonstrator calls experts at random and answers with what most of them agree on; it knows
nothing of budgets or problems, and does not read the statement. Told whom to trust, it weighs
their voices; told what was known once all was over (`counsel`), it says what it should rather
have done. It plays what it can read back: results that are written as in the protocol `digest`.

    demonstrator = Demonstrator(policy, protocol, ("nano", "mini"), recipe.warm_start)
    demonstrator.odds(transcript.texts)         # of each turn that it may say next
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.routers.protocol import CallReport, Protocol
from corl_train.config import WarmStartTable
from corl_train.policies.base import Policy, Said, Speaking
from corl_train.rollouts import Transcript
from corl_train.warmstart.counsel import WRONG_ANSWERS, Counsel, Trust

_RESULT = re.compile(
    r'<[^>]*? expert="(?P<expert>[^"]*)" number="\d+"(?P<failed> failed="yes")?'
    r' tally="(?P<tally>[^"]*)">(?P<reply>.*)</\w+>',
    re.DOTALL,
)
"""A result of the protocol `digest`, which is what a demonstrator can play."""


def require_playable(protocol: Protocol) -> None:
    """Makes sure that a demonstrator can tell what came back of a call.

    Raises:
        ConfigError: results are written otherwise than in `digest`.
    """
    report = CallReport("expert", 1, Decimal(0), Decimal(0), None, calls_left=1)
    if not _RESULT.match(protocol.result(report, reply="7")):
        raise ConfigError(
            f"data.protocol: the warm start cannot play {protocol.name!r}, whose results are not"
            " written as in 'digest': take that, or train with warm_start.episodes=0"
        )


@dataclass(slots=True)
class Demonstrator:
    """Random valid play, spelled in a policy's tokens."""

    policy: Policy
    protocol: Protocol
    experts: tuple[str, ...]
    """From cheap to dear."""
    how: WarmStartTable

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        return self.policy.read(role, text, behind)

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        return self.policy.spell(text, stops)

    def session(self) -> Demonstrator:
        return self

    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        said = []
        for transcript, seed in zip(transcripts, seeds, strict=True):
            odds = self.odds(transcript.texts)
            (text,) = Random(seed).choices(list(odds), list(odds.values()))
            ids = self.policy.spell(text, how.stops)
            said.append(Said(ids, [0.0] * len(ids), text, "stop"))
        return said

    def calls(self, texts: Sequence[str]) -> dict[str, float]:
        """Calls that it may make, with their weights: it asks somebody else for another opinion.

        Args:
            texts: messages so far.
        """
        results = results_of(texts)
        if len(results) >= self.protocol.max_calls:
            return {}
        answered = {result.expert for result in results if result.reply is not None}
        return {
            self.call(name): self.how.again_weight if name in answered else 1.0
            for name in self.experts
        }

    def call(self, expert: str) -> str:
        """The turn that calls an expert."""
        tag = self.protocol.call_tag
        return f'<{tag} expert="{expert}"></{tag}>'

    def answers(self, texts: Sequence[str], trust: Trust | None = None) -> list[str]:
        """Answers with most support; all that point at a reply of that group.

        Args:
            texts: messages so far.
            trust: how probably each expert is right; None: all alike, which is a majority.
        """
        voices = {name: 1.0 if trust is None else _voice(trust[name]) for name in self.experts}
        groups = tally_of(texts)
        support = [sum(voices[name] for name in sorted(group)) for group in groups]
        best = max(support, default=0.0)
        chosen = {
            name
            for group, share in zip(groups, support, strict=True)
            if share == best
            for name in group
        }
        return [self.answer(name) for name in self.experts if name in chosen]

    def answer(self, expert: str) -> str:
        """The turn that points at an expert's reply."""
        return f'<{self.protocol.answer_tag} from="{expert}"/>'

    def odds(self, texts: Sequence[str], trust: Trust | None = None) -> dict[str, float]:
        """How probable each turn is that it may say next; arguments as of `answers`."""
        calls, answers = self.calls(texts), self.answers(texts, trust)
        if not calls and not answers:
            return {self.answer(self.experts[0]): 1.0}
        stop = float(not calls)
        if calls and answers:
            agreed = any(len(group) > 1 for group in tally_of(texts))
            stop = self.how.agreed_stop_rate if agreed else self.how.stop_rate
        total = sum(calls.values())
        return {
            **{call: (1 - stop) * weight / total for call, weight in calls.items()},
            **{answer: stop / len(answers) for answer in answers},
        }

    def advised_odds(
        self, texts: Sequence[str], counsel: Counsel, left_usd: float
    ) -> dict[str, float]:
        """As `odds`, but mostly what counsel finds to be worth most.

        The better a turn the more probable it is: e to the power of its worth, in
        `counsel_heat`s; a share of 1 − `counsel_weight` stays as it was, so that nothing that is
        allowed is ruled out.

        Args:
            texts: messages so far.
            counsel: in the subject, as far as it is known.
            left_usd: of the budget; infinite where there is none.
        """
        odds = self.odds(texts, counsel.trust)
        answers = self.answers(texts, counsel.trust)
        calls = self.protocol.max_calls - len(results_of(texts))
        worth: dict[str, tuple[float, int]] = {}
        for expert, value in counsel.worth(tally_of(texts), left_usd=left_usd, calls=calls).items():
            turns = answers if expert is None else [self.call(expert)]
            worth.update((turn, (value, len(turns))) for turn in turns)
        if not worth:
            return odds
        best = max(value for value, _ in worth.values())
        shares = {
            turn: math.exp((value - best) / self.how.counsel_heat) / alike
            for turn, (value, alike) in worth.items()
        }
        total, weight = sum(shares.values()), self.how.counsel_weight
        return {
            turn: (1 - weight) * odds.get(turn, 0.0) + weight * shares.get(turn, 0.0) / total
            for turn in {**odds, **shares}
        }


def _voice(right: float) -> float:
    """Weight of a voice: log-odds of a right answer against one particular wrong one.

    Source: the naive Bayes form of weighted majority voting, L. Kuncheva and J. Rodríguez, "A
    weighted voting framework for classifiers ensembles", doi 10.1007/s10115-012-0586-6.
    """
    return math.log(right * WRONG_ANSWERS / (1 - right))


@dataclass(frozen=True, slots=True)
class Result:
    """What came back of one call."""

    expert: str
    reply: str | None
    """Its answer; None where there was none."""


def results_of(texts: Sequence[str]) -> list[Result]:
    """The calls of a conversation, from its messages; notes of other kinds are none."""
    return [result for result, _ in _read(texts)]


def tally_of(texts: Sequence[str]) -> list[frozenset[str]]:
    """Who stands behind which answer; an expert that repeats itself has one voice."""
    return [frozenset(group) for group in voices_of(texts)]


def voices_of(texts: Sequence[str]) -> list[list[str]]:
    """As `tally_of`, in the order in which they have answered."""
    told = "-"
    for _, tally in _read(texts):
        told = tally
    return [] if told == "-" else [group.split(",") for group in told.split(";")]


def _read(texts: Sequence[str]) -> Iterator[tuple[Result, str]]:
    """The results among some messages, each with its tally."""
    return filter(None, map(_read_result, texts[2::2]))


@lru_cache(maxsize=4096)
def _read_result(text: str) -> tuple[Result, str] | None:
    """A message's result and tally; every turn looks at those of all turns before it."""
    read = _RESULT.match(text)
    if read is None:
        return None
    return Result(read["expert"], None if read["failed"] else read["reply"]), read["tally"]
