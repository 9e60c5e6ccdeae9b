"""A policy as a provider: the controller's own model, in process, for training and evaluation.

Turns that are wanted at the same time are sampled as one batch. What a turn says follows from
the weights, the seed and the conversation, never from who else is in the batch or who came
first. A conversation's tokens are kept from turn to turn, so what was sampled is never tokenised
again; one that began in another process (a run that is resumed), or that was pushed out of
memory by many others, is read from its messages instead. Its tokens may then be others than the
sampled ones (a text has several spellings), which changes no message; training never reads one.

    speaker = Speaker(policy, temperature=0.0)
    reply = await speaker.send(request)
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from corl_bench.errors import ConfigError
from corl_bench.experts.base import CheckResult, ErrorStatus, ProviderError, Reply, Request
from corl_bench.text import well_formed
from corl_bench.types import Message, Usage
from corl_train.policies.base import Player, Said, Session, Speaking
from corl_train.rollouts import Transcript

QUIET_S = 0.002
"""How long nobody has asked before those who have are answered, where nobody is expected."""
REMEMBERED = 1024
"""Conversations that are kept, more than any run has episodes under way."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The first turns of an episode, when somebody else is to say them.

    What the policy says later is then learned in states that it would not come to by itself. Its
    tokens are as if they were read: they teach nothing.
    """

    turns: int
    draw: int
    """Conversations that begin alike and have the same draw are opened alike."""


@dataclass(slots=True, eq=False)
class _Wanted:
    request: Request
    conversation: str
    reply: asyncio.Future[Reply]


@dataclass(slots=True)
class Speaker:
    """A `Provider` whose replies a policy makes up.

    Args:
        policy: what speaks.
        temperature: of sampling; 0 is greedy.
        seed: of all draws.
        opener: who says the first turns of some episodes, at temperature 1.
        openings: of which samples, and how many.
        expected: how many are going to ask before an answer is due; with it batches depend on
            no clock, which makes training repeatable. None answers when all is quiet.
        remembered: conversations that are kept; the one that was quiet for longest is the first
            to be forgotten.
    """

    policy: Player
    temperature: float = 0.0
    seed: int = 0
    opener: Player | None = None
    openings: Mapping[int, Opening] = field(default_factory=dict)
    expected: Callable[[], int] | None = None
    remembered: int = REMEMBERED
    failure: Exception | None = None
    """The first thing that went wrong inside the policy; those who waited were told."""
    _session: Session = field(init=False)
    _opening_session: Session | None = field(init=False, default=None)
    _waiting: list[_Wanted] = field(default_factory=list)
    _timer: asyncio.TimerHandle | None = None
    _kept: OrderedDict[str, list[Transcript]] = field(default_factory=OrderedDict)
    """By conversation: several where episodes ask the very same."""

    def __post_init__(self) -> None:
        self._session = self.policy.session()
        if self.opener is not None:
            self._opening_session = self.opener.session()

    async def send(self, request: Request) -> Reply:
        """Says the next turn of a conversation.

        Raises:
            ProviderError: the conversation has no room left, the policy cannot tell what it was
                asked (a budget that it was not trained for), or the policy failed.
        """
        loop = asyncio.get_running_loop()
        name = conversation_name(request.messages[0].content, request.sample)
        wanted = _Wanted(request, name, loop.create_future())
        self._waiting.append(wanted)
        if self.expected is None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_later(QUIET_S, self._answer)
        else:
            self.consider()
        try:
            return await wanted.reply
        finally:
            if wanted in self._waiting:
                # Whoever was cancelled is not waited for any more.
                self._waiting.remove(wanted)

    def consider(self) -> None:
        """Answers if everybody who is expected has asked; call it when somebody has left."""
        if self.expected is not None and self._waiting and len(self._waiting) >= self.expected():
            # Not within the call of the last one: his future is not awaited yet.
            asyncio.get_running_loop().call_soon(self._answer)

    def take(self, opening: str, sample: int, turns: Sequence[str]) -> Transcript:
        """Hands over a conversation that is over, and forgets it.

        Args:
            opening: its first message.
            sample: of its episode.
            turns: what was said in it; tells it from others with the same opening.

        Returns:
            Its tokens; none where nothing was ever asked of the policy.

        Raises:
            LookupError: there was such a conversation, but it went otherwise.
        """
        name = conversation_name(opening, sample)
        kept = self._kept.get(name, [])
        for place, transcript in enumerate(kept):
            if transcript.texts[1::2] == list(turns):
                del kept[place]
                if not kept:
                    del self._kept[name]
                return transcript
        if kept:
            raise LookupError(f"no conversation with this opening had {len(turns)} such turns")
        return Transcript()

    def require_readable(self, opening: str) -> None:
        """Refuses a first message that the policy does not know; see `Selective`."""
        self.policy.read("user", opening)

    async def check(self) -> CheckResult:
        """There is nothing to reach."""
        return CheckResult(reachable=None, detail="in process")

    async def aclose(self) -> None:
        """Refuses those who are still waiting."""
        if self._timer is not None:
            self._timer.cancel()
        _fail(self._waiting, "server_error", "the controller has been closed")
        self._waiting = []

    def _answer(self) -> None:
        if self.expected is not None and len(self._waiting) < self.expected():
            return  # somebody who was counted has gone; who comes next calls again
        # In an order that does not depend on who came first.
        waiting = sorted(self._waiting, key=lambda w: (w.conversation, len(w.request.messages)))
        self._waiting = []
        by_limits: dict[Speaking, list[_Wanted]] = {}
        for wanted in waiting:
            by_limits.setdefault(self._how(wanted.request), []).append(wanted)
        for how, group in by_limits.items():
            try:
                self._speak(how, group)
            except Exception as error:
                self.failure = self.failure or error
                what = " ".join(f"{type(error).__name__}: {error}".split())
                _fail(group, "server_error", f"the policy failed: {what[:300]}")

    def _how(self, request: Request) -> Speaking:
        sampling = request.sampling
        return Speaking(
            max_tokens=sampling.max_output_tokens or 1,
            stops=sampling.stop,
            temperature=(
                self.temperature if sampling.temperature is None else sampling.temperature
            ),
        )

    def _speak(self, how: Speaking, group: list[_Wanted]) -> None:
        transcripts: list[Transcript] = []
        readable: list[_Wanted] = []
        taken: set[int] = set()
        for wanted in group:
            try:
                transcript = self._read(wanted, taken)
                taken.add(id(transcript))
                transcripts.append(transcript)
                readable.append(wanted)
            except ConfigError as error:
                # This conversation's own fault: the others of the batch go on.
                self.failure = self.failure or error
                _fail([wanted], "bad_request", str(error))
        turns = self._turns(how, readable, transcripts)
        for wanted, transcript, (said, is_own) in zip(readable, transcripts, turns, strict=True):
            read = len(transcript.ids)
            if said.finish == "context":
                _fail([wanted], "too_long", f"{read} tokens leave no room in the context")
                continue
            if is_own:
                transcript.say(said.ids, said.log_probs)
            else:
                transcript.read(said.ids)
            reply = _reply(wanted.request, said, read)
            transcript.texts.append(reply.text)
            wanted.reply.set_result(reply)
        while len(self._kept) > self.remembered:
            self._kept.popitem(last=False)

    def _turns(
        self, how: Speaking, group: Sequence[_Wanted], transcripts: Sequence[Transcript]
    ) -> list[tuple[Said, bool]]:
        """What is said in each conversation, and whether the policy itself has said it."""
        turns: list[tuple[Said, bool]] = [(Said([], [], "", "context"), True)] * len(group)
        is_own = [not self._is_opening(wanted) for wanted in group]
        for own, session, heat in (
            (True, self._session, how),
            (False, self._opening_session, replace(how, temperature=1.0)),
        ):
            places = [place for place, its_own in enumerate(is_own) if its_own is own]
            if places:
                assert session is not None
                draws = [self._draw(group[place], own) for place in places]
                said = session.speak([transcripts[place] for place in places], heat, draws)
                for place, turn in zip(places, said, strict=True):
                    turns[place] = turn, own
        return turns

    def _is_opening(self, wanted: _Wanted) -> bool:
        opening = self.openings.get(wanted.request.sample)
        return opening is not None and len(wanted.request.messages) < 2 * opening.turns

    def _draw(self, wanted: _Wanted, is_own: bool) -> int:
        """The seed of a turn."""
        messages, name = wanted.request.messages, wanted.conversation
        if not is_own:
            draw = self.openings[wanted.request.sample].draw
            name = "opening " + conversation_name(messages[0].content, draw)
        return _seed(self.seed, name, len(messages))

    def _read(self, wanted: _Wanted, taken: Container[int]) -> Transcript:
        """The conversation up to the turn that is wanted.

        Args:
            wanted: the turn.
            taken: identities of the transcripts of others in this batch.
        """
        messages = wanted.request.messages
        kept = self._kept.setdefault(wanted.conversation, [])
        self._kept.move_to_end(wanted.conversation)
        for transcript in kept:
            if id(transcript) not in taken and _goes_on(transcript, messages):
                break
        else:
            transcript = Transcript()
            kept.append(transcript)
        for message in messages[len(transcript.texts) :]:
            if message.role == "assistant":
                # As it would have said it: a turn that a stop string ends has no other end.
                ids = self.policy.spell(message.content, wanted.request.sampling.stop)
            else:
                ids = self.policy.read(message.role, message.content, behind=transcript.ids)
            transcript.read(ids)
            transcript.texts.append(message.content)
        return transcript


def conversation_name(opening: str, sample: int) -> str:
    """Names a conversation by what it begins with: the problem, the budget and the pool."""
    return hashlib.sha256(f"{sample}|{opening}".encode()).hexdigest()[:24]


def _goes_on(transcript: Transcript, messages: Sequence[Message]) -> bool:
    """Whether the transcript's messages are the first of these."""
    known = transcript.texts
    return len(known) <= len(messages) and all(
        text == message.content for text, message in zip(known, messages, strict=False)
    )


def _reply(request: Request, said: Said, read: int) -> Reply:
    return Reply(
        text=well_formed(said.text),
        usage=Usage(input_tokens=read, output_tokens=len(said.ids)),
        finish="stop" if said.finish == "stop" else "length",
        model=request.expert.model,
    )


def _fail(group: Sequence[_Wanted], status: ErrorStatus, detail: str) -> None:
    for wanted in group:
        if not wanted.reply.done():
            wanted.reply.set_exception(ProviderError(status, detail))


def _seed(seed: int, conversation: str, turn: int) -> int:
    digest = hashlib.sha256(f"{seed}|{conversation}|{turn}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
