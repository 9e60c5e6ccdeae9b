"""Random valid play of a protocol: what a policy is shown before it is rewarded.

The demonstrator calls experts at random and answers with what most replies agree on, in doubt
with the dearest; it knows nothing of budgets or problems, and does not read the statement. It
plays what it can read back: results that are written as in the protocol `digest`.

    demonstrator = Demonstrator(policy, protocol, ("nano", "mini"), 0.25, 0.75, 0.1)
    demonstrator.odds(transcript.texts)         # of each turn that it may say next
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.routers.protocol import CallReport, Protocol
from corl_train.policies.base import Policy, Said, Speaking
from corl_train.rollouts import Transcript

_RESULT = re.compile(
    r'<[^>]*? expert="(?P<expert>[^"]*)" number="(?P<number>\d+)"'
    r'(?: failed="yes"| agrees="(?P<agrees>[\d,-]*)")>(?P<text>.*)</\w+>',
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
    stop_rate: float
    """How often it answers when it could, and no two replies agree."""
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
        answered = {result.expert for result in results if result.agrees is not None}
        tag = self.protocol.call_tag
        return {
            f'<{tag} expert="{name}"></{tag}>': self.again_weight if name in answered else 1.0
            for name in self.experts
        }

    def answers(self, texts: Sequence[str]) -> list[str]:
        """Answers with what most replies agree on, in doubt with what the dearest one says."""
        ranks = {
            result.number: (result.agrees, self.experts.index(result.expert))
            for result in results_of(texts)
            if result.agrees is not None
        }
        best = max(ranks.values(), default=None)
        return [self.answer(number) for number, rank in ranks.items() if rank == best]

    def answer(self, number: int) -> str:
        """The turn that points at a reply."""
        return f'<{self.protocol.answer_tag} from="{number}"/>'

    def odds(self, texts: Sequence[str]) -> dict[str, float]:
        """How probable each turn is that it may say next."""
        calls, answers = self.calls(texts), self.answers(texts)
        if not calls and not answers:
            return {self.answer(1): 1.0}
        stop = float(not calls)
        if calls and answers:
            agreed = any(result.agrees for result in results_of(texts))
            stop = self.agreed_stop_rate if agreed else self.stop_rate
        total = sum(calls.values())
        return {
            **{call: (1 - stop) * weight / total for call, weight in calls.items()},
            **{answer: stop / len(answers) for answer in answers},
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What came back of one call."""

    number: int
    expert: str
    agrees: int | None
    """With how many earlier replies; None where there was no answer."""
    text: str


def results_of(texts: Sequence[str]) -> list[Result]:
    """The calls of a conversation, from its messages; notes of other kinds are none."""
    found = []
    for text in texts[2::2]:
        if read := _RESULT.match(text):
            marks = read["agrees"]
            agrees = None if marks is None else sum(mark.isdigit() for mark in marks.split(","))
            found.append(Result(int(read["number"]), read["expert"], agrees, read["text"] or ""))
    return found
