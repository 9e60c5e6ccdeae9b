"""Controllers: LLMs that answer a problem themselves or call experts over several rounds.

The loop is the same whoever speaks: the controller's own model is an expert of role `self` that
the system brings with it, reached through the episode like any other, so its tokens are on the
ledger at its stated price. What it says is read by `turns`, what comes back is written by its
`Protocol`. A turn that is neither a call nor an answer is an event of the episode: paid for,
shown, and forgiven a few times. So is a turn that did not come about. Where the conversation has
outgrown the model's context the episode ends without an answer, for no later try would fit and
no expert's reply may stand in for an answer that the controller has not given; any other failure
is the episode's error.

    controller = Controller("controller:corl-7b", own_model=spec, protocol=load_protocol("corl"))
    text = await controller.solve(problem, budget, episode)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from corl_bench.episode import Episode, ExpertReply
from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.pools import figures_of
from corl_bench.routers.base import CallCounts
from corl_bench.routers.protocol import CallReport, Protocol
from corl_bench.routers.turns import Answer, Call, Invalid, Turn, closed, read_turn
from corl_bench.types import Budget, Message

SWALLOWS_STOPS = frozenset({"openai", "anthropic"})
"""Providers whose replies end in front of the stop string. A policy in process keeps it, and is
left the very text that its tokens say."""

INVALID_TURN = "invalid turn: "
"""What the event of a turn that was neither a call nor an answer begins with."""


@dataclass(frozen=True, slots=True)
class Controller:
    """A routing system that is itself an LLM."""

    name: str
    own_model: ExpertSpec
    protocol: Protocol
    reads_budget: bool = True
    is_oracle: bool = False
    experts: tuple[str, ...] = ()
    """Whom it may call, as far as that is known before a run; for estimates."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What it calls an expert, by alias in the pool, where that is not the alias."""

    @property
    def own_models(self) -> tuple[ExpertSpec, ...]:
        """Experts that it brings to the pool."""
        return (self.own_model,)

    @property
    def digest(self) -> str:
        """sha256 of its protocol and of what its own model is; the weights by their own digest."""
        figures = figures_of(self.own_model)
        options = {name: value for name, value in figures["options"].items() if name != "path"}
        made_of = {"protocol": self.protocol.figures(), "model": {**figures, "options": options}}
        if self.names:
            made_of["names"] = dict(self.names)
        text = json.dumps(made_of, ensure_ascii=False, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def most_turns(self) -> int:
        """Every call, every turn that is forgiven, and the last one."""
        return self.protocol.max_calls + self.protocol.max_invalid + 1

    def call_counts(self) -> CallCounts:
        """Calls for an estimate: half of what is allowed, evenly over the experts, is a guess."""
        calls = self.protocol.max_calls
        guess = calls / 2
        each = guess / max(1, len(self.experts))
        return {
            self.own_model.name: (1, 1 + guess, self.most_turns),
            **dict.fromkeys(self.experts, (0, each, calls)),
        }

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        """Lets the controller speak until it answers or may speak no more.

        Returns:
            The answer, or the reply that it points at; empty where it gave none; None where its
            own model could not be asked.
        """
        talk = _Conversation(
            self.protocol, problem, budget, episode, self.own_model.name, self.names
        )
        stops = dict.fromkeys((*self.protocol.stops, *self.own_model.sampling.stop))
        while not talk.is_over:
            said = await episode.call(
                self.own_model.name,
                talk.messages,
                stop=tuple(stops),
                max_output_tokens=self.protocol.max_turn_tokens,
            )
            if said.text is None:
                episode.note(f"turn {talk.turns + 1} failed: {said.status}")
                return "" if said.status == "too_long" else None
            was_cut = said.finish == "length"
            swallowed = not was_cut and self.own_model.provider in SWALLOWS_STOPS
            await talk.take(closed(said.text, self.protocol) if swallowed else said.text, was_cut)
        return talk.answer


@dataclass(slots=True)
class _Conversation:
    """One episode as the controller sees it."""

    protocol: Protocol
    problem: str
    budget: Budget | None
    episode: Episode
    own: str
    names: Mapping[str, str]
    answer: str = ""
    is_over: bool = False
    messages: list[Message] = field(init=False)
    _aliases: dict[str, str] = field(init=False)
    """Of the experts, by what the controller calls them."""
    _replies: list[ExpertReply] = field(init=False, default_factory=list)
    _invalid: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        experts = [
            replace(expert, name=self.names.get(expert.name, expert.name))
            for expert in self.episode.experts
            if expert.name != self.own
        ]
        aliases = [expert.name for expert in self.episode.experts if expert.name != self.own]
        self._aliases = {e.name: alias for e, alias in zip(experts, aliases, strict=True)}
        self.messages = [Message("user", self.protocol.opening(self.problem, self.budget, experts))]
        if self.protocol.begins:
            self.messages.append(Message("assistant", self.protocol.begins))

    @property
    def calls_left(self) -> int:
        return self.protocol.max_calls - len(self._replies)

    @property
    def turns(self) -> int:
        """How many the controller has had."""
        return len(self._replies) + self._invalid

    async def take(self, text: str, was_cut: bool) -> None:
        """Acts on one turn of the controller, and lets it know."""
        turn = self._read(text, was_cut)
        if isinstance(turn, Answer):
            self.is_over = True
            self.answer = turn.text
            if turn.points_at is not None:
                self.answer = self._replies[turn.points_at - 1].text or ""
        elif isinstance(turn, Call):
            self._tell(text, await self._call(turn))
        else:
            self.episode.note(f"{INVALID_TURN}{turn.reason}")
            self._invalid += 1
            self.is_over = self._invalid > self.protocol.max_invalid
            self._tell(text, self.protocol.invalid(turn.reason, calls_left=self.calls_left))

    def _tell(self, said: str, back: str) -> None:
        """Adds a turn and what comes back of it to what the controller reads next.

        Its own message may go on with it. Even so only what it says anew is read for tags.
        """
        if not self.protocol.continues:
            self.messages += [Message("assistant", said), Message("user", back)]
            return
        opening, *before = self.messages
        so_far = "".join(message.content for message in before)
        self.messages = [opening, Message("assistant", f"{so_far}{said}\n{back}\n")]

    def _read(self, text: str, was_cut: bool) -> Turn:
        turn = read_turn(text, self.protocol, self._aliases, cut=was_cut)
        if isinstance(turn, Call) and not self.calls_left:
            return Invalid("no calls are left")
        if isinstance(turn, Answer) and turn.points_at is not None:
            if not 1 <= turn.points_at <= len(self._replies):
                return Invalid(f"there is no call {turn.points_at}")
            if self._replies[turn.points_at - 1].text is None:
                return Invalid(f"call {turn.points_at} brought no reply")
        return turn

    async def _call(self, call: Call) -> str:
        before_usd = self.episode.spent_usd
        reply = await self.episode.call(self._aliases[call.expert], call.query or None)
        self._replies.append(reply)
        spent_usd = self.episode.spent_usd
        report = CallReport(
            expert=call.expert,
            number=len(self._replies),
            cost_usd=max(Decimal(0), spent_usd - before_usd),
            spent_usd=spent_usd,
            budget_usd=None if self.budget is None else self.budget.usd,
            calls_left=self.calls_left,
        )
        if reply.text is None:
            return self.protocol.result(report, reply=None, failure=reply.status)
        if self.protocol.shows == "text":
            return self.protocol.result(report, reply=reply.text, agrees=await self._agrees())
        answer = self.episode.answer_in(reply.text)
        if answer is None:
            return self.protocol.result(report, reply=None, failure="no answer")
        return self.protocol.result(report, reply=answer, agrees=await self._agrees())

    async def _agrees(self) -> list[int]:
        """Numbers of the earlier calls whose answer equals that of the last one."""
        if not self.protocol.marks_agreement:
            return []
        *before, last = await self.episode.agreement(self._replies)
        return [
            number
            for number, group in enumerate(before, start=1)
            if last is not None and group == last
        ]
