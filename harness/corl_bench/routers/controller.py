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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from functools import partial

from corl_bench.episode import Episode, ExpertInfo, ExpertReply
from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.card_file import find_card
from corl_bench.experts.cards import Card
from corl_bench.experts.pools import figures_of
from corl_bench.routers.base import CallCounts
from corl_bench.routers.outlook import costs_of, lettered
from corl_bench.routers.protocol import CallReport, Protocol, Voice
from corl_bench.routers.turns import Answer, Call, Invalid, Turn, closed, read_turn
from corl_bench.tasks.golds import is_integer
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
    cards: Mapping[str, Card] = field(default_factory=dict)
    """By model, or alias: what it was trained with is known of experts that bring no card."""

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
        if self.cards:
            made_of["cards"] = {model: asdict(card) for model, card in self.cards.items()}
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

    def opening(self, problem: str, budget: Budget | None, experts: Sequence[ExpertInfo]) -> str:
        """What it is told first; its own model is none of those that are listed."""
        return self._opening(problem, budget, self._listed(experts))

    def _opening(
        self, problem: str, budget: Budget | None, listed: Mapping[str, ExpertInfo]
    ) -> str:
        named = [
            expert if expert.name == name else replace(expert, name=name)
            for name, expert in listed.items()
        ]
        return self.protocol.opening(problem, budget, named)

    def _listed(self, experts: Sequence[ExpertInfo]) -> dict[str, ExpertInfo]:
        """Experts by what it calls them, as they are listed; its own model is none of them."""
        others = [self._carded(e) for e in experts if e.name != self.own_model.name]
        if self.protocol.naming == "letter":
            return lettered(others)
        return {self.names.get(expert.name, expert.name): expert for expert in others}

    def _carded(self, expert: ExpertInfo) -> ExpertInfo:
        """The expert with the card that it was trained with, where it brings none."""
        card = expert.card or find_card(self.cards, name=expert.name, model=expert.model)
        return expert if card is expert.card else replace(expert, card=card)

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        """Lets the controller speak until it answers or may speak no more.

        Returns:
            The answer, or the reply that it points at; empty where it gave none; None where its
            own model could not be asked.
        """
        listed = self._listed(episode.experts)
        opening = self._opening(problem, budget, listed)
        aliases = {name: expert.name for name, expert in listed.items()}
        costs_usd = (
            {name: costs_of(expert) for name, expert in listed.items()}
            if self.protocol.lists_cards
            else {}
        )
        talk = _Conversation(self.protocol, opening, budget, episode, aliases, costs_usd)
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
    opening: str
    budget: Budget | None
    episode: Episode
    aliases: Mapping[str, str]
    """Of the experts, by what the controller calls them."""
    costs_usd: Mapping[str, Sequence[float]]
    """Of typical calls, likewise; none where the protocol lists no cards."""
    answer: str = ""
    is_over: bool = False
    messages: list[Message] = field(init=False)
    _replies: list[ExpertReply] = field(init=False, default_factory=list)
    _invalid: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.messages = [Message("user", self.opening)]
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
                self.answer = self._pointed_at(turn.points_at) or ""
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
        turn = read_turn(text, self.protocol, self.aliases, cut=was_cut)
        if isinstance(turn, Call) and not self.calls_left:
            return Invalid("no calls are left")
        if isinstance(turn, Answer) and turn.points_at is not None:
            if isinstance(turn.points_at, int) and not 1 <= turn.points_at <= len(self._replies):
                return Invalid(f"there is no call {turn.points_at}")
            if self._pointed_at(turn.points_at) is None:
                return Invalid(
                    f"call {turn.points_at} brought no reply"
                    if isinstance(turn.points_at, int)
                    else f"{turn.points_at!r} has not replied"
                )
        return turn

    def _pointed_at(self, call: int | str) -> str | None:
        """The reply to a call, by its number, or an expert's last one: if it can be, an answer."""
        if isinstance(call, int):
            return self._replies[call - 1].text
        alias = self.aliases[call]
        texts = [r.text for r in self._replies if r.expert == alias and r.text is not None]
        answers = [text for text in texts if self._stated(text) is not None]
        return next(reversed(answers or texts), None)

    async def _call(self, call: Call) -> str:
        before_usd = self.episode.spent_usd
        reply = await self.episode.call(self.aliases[call.expert], call.query or None)
        self._replies.append(reply)
        spent_usd = self.episode.spent_usd
        report = CallReport(
            expert=call.expert,
            number=len(self._replies),
            cost_usd=max(Decimal(0), spent_usd - before_usd),
            spent_usd=spent_usd,
            budget_usd=None if self.budget is None else self.budget.usd,
            calls_left=self.calls_left,
            costs_usd=self.costs_usd,
        )
        result = partial(self.protocol.result, report, voices=await self._voices())
        if reply.text is None:
            return result(reply=None, failure=reply.status)
        if self.protocol.shows == "text":
            return result(reply=reply.text)
        answer = self._stated(reply.text)
        if answer is None:
            return result(reply=None, failure="no answer")
        return result(reply=answer)

    def _stated(self, text: str | None) -> str | None:
        """The answer that a reply states, if it is of the protocol's form."""
        answer = self.episode.answer_in(text)
        if answer is not None and self.protocol.answers == "integer" and not is_integer(answer):
            return None
        return answer

    async def _voices(self) -> list[Voice]:
        """Which answer each call has brought, as far as the protocol tells of it."""
        if not self.protocol.marks_agreement:
            return []
        groups = await self.episode.agreement(self._replies)
        names = {alias: name for name, alias in self.aliases.items()}
        stated = [self._stated(reply.text) is not None for reply in self._replies]
        return [
            Voice(names[reply.expert], group if is_stated else None)
            for reply, group, is_stated in zip(self._replies, groups, stated, strict=True)
        ]
