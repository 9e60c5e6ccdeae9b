"""OpenRLHF's engine as a provider: the controller's own model, token in and token out.

It is to the episodes of OpenRLHF what `speaker` is to those of the trainer in process. A
conversation's tokens are kept from turn to turn: what the engine has said is never tokenised
again, and no more is read than the messages that have come since. A turn's text is what its
tokens say, so that the mask is right by construction; `Talk.faults` looks all the same.

    engine.open(rollout, Talk(chat, generate, sampling, most_tokens=8192))
    reply = await engine.send(request)         # of sample `rollout`; made by the controller
    talk = engine.close(rollout)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from corl_bench.experts.base import CheckResult, ProviderError, Reply, Request
from corl_bench.text import well_formed
from corl_bench.types import Message, Usage
from corl_train.openrlhf.sampling import private_sampling
from corl_train.policies.chat import Chat
from corl_train.rollouts import Transcript

Generate = Callable[[list[int], Any], Awaitable[Any]]
"""`RolloutRayActor.generate`: from a prompt's tokens and `SamplingParams` to vLLM's output."""


@dataclass(slots=True, eq=False)
class Talk:
    """One rollout's conversation with the engine."""

    chat: Chat
    generate: Generate
    sampling: Any
    """What OpenRLHF wants of sampling, shared by all rollouts of a prompt; it stays as it is."""
    most_tokens: int
    """Of the whole conversation: `--data.max_len`."""
    transcript: Transcript = field(default_factory=Transcript)
    turns: list[tuple[int, int]] = field(default_factory=list)
    """Where each of its own turns begins and ends in the transcript."""
    is_full: bool = False
    """Whether it was ended by the context: a turn filled it, or there was no room for one."""

    async def say(self, request: Request, *, timeout_s: float) -> Reply:
        """Lets the engine say the next turn.

        Raises:
            ProviderError: there is no room left, or the engine has failed.
        """
        self._read(request.messages)
        read = len(self.transcript.ids)
        room = self.most_tokens - read
        if room < 1:
            self.is_full = True
            raise ProviderError("too_long", f"{read} tokens leave no room in {self.most_tokens}")
        most = min(request.sampling.max_output_tokens or room, room)
        how = private_sampling(self.sampling, stops=request.sampling.stop, max_tokens=most)
        try:
            async with asyncio.timeout(timeout_s):
                output = await self.generate(list(self.transcript.ids), how)
            (said,) = output.outputs
            ids = list(said.token_ids)
            log_probs = _log_probs(said, ids) if self._wants_log_probs else [0.0] * len(ids)
        except TimeoutError:
            raise ProviderError("timeout", f"the engine took more than {timeout_s:g} s") from None
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise ProviderError("server_error", f"the engine failed: {what}") from error
        if not 0 < len(ids) <= most or said.finish_reason not in ("stop", "length"):
            raise ProviderError(
                "server_error",
                f"the engine said {len(ids)} tokens of at most {most} ({said.finish_reason})",
            )
        is_cut = said.finish_reason == "length"
        self.is_full = is_cut and most == room
        self.transcript.say(ids, log_probs)
        self.turns.append((read, read + len(ids)))
        text = self._text(ids)
        self.transcript.texts.append(text)
        return Reply(
            text=text,
            usage=Usage(input_tokens=read, output_tokens=len(ids)),
            finish="length" if is_cut else "stop",
            model=request.expert.model,
        )

    def faults(self, turns: Sequence[str]) -> str:
        """What is wrong with the tokens, in a line; empty where all is well.

        Args:
            turns: what the controller has said, as the episode has it.
        """
        said = self.transcript
        own = list(chain.from_iterable(range(start, end) for start, end in self.turns))
        if len(said.ids) != len(said.mask) or len(said.ids) != len(said.log_probs):
            return "tokens, mask and log-probabilities are of different lengths"
        if own != [place for place, mask in enumerate(said.mask) if mask]:
            return "the mask is not on the controller's turns"
        if [self._text(said.ids[start:end]) for start, end in self.turns] != list(turns):
            return "the tokens under the mask are not the controller's text"
        if any(not mask and p != 0.0 for mask, p in zip(said.mask, said.log_probs, strict=True)):
            return "a token that was read has a log-probability"
        if self.turns and self.turns[-1][1] > self.most_tokens:
            return f"a turn ends behind token {self.most_tokens}"
        return ""

    @property
    def _wants_log_probs(self) -> bool:
        return getattr(self.sampling, "logprobs", None) is not None

    def _read(self, messages: Sequence[Message]) -> None:
        known = self.transcript.texts
        if known != [message.content for message in messages[: len(known)]]:
            raise ProviderError("bad_request", "this conversation went otherwise")
        for message in messages[len(known) :]:
            ids = self.chat.read(message.role, message.content, behind=self.transcript.ids)
            self.transcript.read(ids)
            known.append(message.content)

    def _text(self, ids: Sequence[int]) -> str:
        return well_formed(self.chat.decode(ids))


class Engine:
    """A `Provider` whose conversations are rollouts, each with an engine of its own.

    Args:
        timeout_s: of a turn.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._talks: dict[int, Talk] = {}

    def open(self, rollout: int, talk: Talk) -> None:
        """Says whose turns the requests of a sample are."""
        self._talks[rollout] = talk

    def close(self, rollout: int) -> Talk:
        """The conversation as far as it went; nobody speaks in it any more."""
        return self._talks.pop(rollout)

    async def send(self, request: Request) -> Reply:
        """Says the next turn of a rollout; see `Talk.say`."""
        talk = self._talks.get(request.sample)
        if talk is None:
            raise ProviderError("bad_request", "this rollout is over")
        return await talk.say(request, timeout_s=self._timeout_s)

    async def check(self) -> CheckResult:
        """There is nothing to reach."""
        return CheckResult(reachable=None, detail="in process")

    async def aclose(self) -> None:
        """Nothing: the engine is OpenRLHF's."""


def _log_probs(said: Any, ids: Sequence[int]) -> list[float]:
    """Of each token, from vLLM's list of tables by token."""
    if said.logprobs is None or len(said.logprobs) != len(ids):
        raise ValueError("log-probabilities were asked for and did not come")
    return [float(table[token].logprob) for token, table in zip(ids, said.logprobs, strict=True)]
