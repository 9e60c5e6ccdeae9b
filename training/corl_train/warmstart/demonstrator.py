"""Random valid play of a protocol: what a policy is shown before it is rewarded.

The demonstrator calls experts at random and answers with what most of them agree on; it knows
nothing of budgets or problems, and does not read the statement. Told whom to trust, it weighs
their voices. It plays what it can read back: results that are written as in the protocol
`digest`.

    demonstrator = Demonstrator(policy, protocol, ("nano", "mini"), 0.25, 0.75, 0.1)
    demonstrator.odds(transcript.texts)         # of each turn that it may say next
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.routers.protocol import CallReport, Protocol
from corl_train.policies.base import Policy, Said, Speaking
from corl_train.rollouts import Transcript

_RESULT = re.compile(
    r'<[^>]*? expert="(?P<expert>[^"]*)" number="\d+"(?P<failed> failed="yes")?'
    r' tally="(?P<tally>[^"]*)">(?P<reply>.*)</\w+>',
    re.DOTALL,
)
"""A result of the protocol `digest`, which is what a demonstrator can play."""
_WRONG_ANSWERS = 5
"""Over how many answers replies that are wrong are taken to spread: they seldom agree."""

Trust = Mapping[str, float]
"""By expert: how probably it is right, from 0 to 1 and neither of them."""


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
    stop_rate: float
    """How often it answers when it could, and no two experts agree."""
    agreed_stop_rate: float
    """How often it answers when two do."""
    again_weight: float
    """Weight of asking an expert again that has answered, against 1 of asking another."""

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
        tag = self.protocol.call_tag
        return {
            f'<{tag} expert="{name}"></{tag}>': self.again_weight if name in answered else 1.0
            for name in self.experts
        }

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
            stop = self.agreed_stop_rate if agreed else self.stop_rate
        total = sum(calls.values())
        return {
            **{call: (1 - stop) * weight / total for call, weight in calls.items()},
            **{answer: stop / len(answers) for answer in answers},
        }


def _voice(right: float) -> float:
    """Weight of a voice: log-odds of a right answer against one particular wrong one.

    Source: the naive Bayes form of weighted majority voting, L. Kuncheva and J. Rodríguez, "A
    weighted voting framework for classifiers ensembles", doi 10.1007/s10115-012-0586-6.
    """
    return math.log(right * _WRONG_ANSWERS / (1 - right))


@dataclass(frozen=True, slots=True)
class Result:
    """What came back of one call."""

    expert: str
    reply: str | None
    """Its answer; None where there was none."""


def results_of(texts: Sequence[str]) -> list[Result]:
    """The calls of a conversation, from its messages; notes of other kinds are none."""
    return [
        Result(read["expert"], None if read["failed"] else read["reply"]) for read in _read(texts)
    ]


def tally_of(texts: Sequence[str]) -> list[frozenset[str]]:
    """Who stands behind which answer; an expert that repeats itself has one voice."""
    told = "-"
    for read in _read(texts):
        told = read["tally"]
    return [] if told == "-" else [frozenset(group.split(",")) for group in told.split(";")]


def _read(texts: Sequence[str]) -> Iterator[re.Match[str]]:
    return filter(None, map(_RESULT.match, texts[2::2]))
