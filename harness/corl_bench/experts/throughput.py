"""How many tokens a second a server reads and writes, for a price by the GPU hour.

Two loads, one after the other, each as many requests at a time as are meant later: long prompts
that want a single token, for reading; short prompts with long replies, for writing. Each begins
with requests that are not counted, one for each place, in which a server compiles and warms up.
Prompts all differ from their first word on, within a measurement and between two of different
seeds, so that a server that keeps prefixes reads each of them. What is counted is what the server
says that it counted, over the time from the first request to the last reply; the short prompts are
read in the time of the writing load, which makes it a little dearer.

    found = await measure(provider, expert, at_a_time=64, requests=256, seed="2026-11-22 1")
    found.reading.tokens_per_s, found.writing.tokens_per_s
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from random import Random

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Provider, ProviderError, Request
from corl_bench.types import Message, Usage

_WORDS_OF_A_SHORT_PROMPT = 12


@dataclass(frozen=True, slots=True)
class Load:
    """One of the two loads, as it went."""

    requests: int
    tokens: int
    """That were read, or written, by the server's own count."""
    seconds: float

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a server did."""

    reading: Load
    writing: Load


async def measure(
    provider: Provider,
    expert: ExpertSpec,
    *,
    at_a_time: int,
    requests: int,
    seed: str,
    prompt_words: int = 1000,
    output_tokens: int = 256,
) -> Throughput:
    """Puts both loads on a server. Nothing is recorded, and nothing is tried again.

    Args:
        provider: of the expert.
        expert: whose sampling holds, but for the output limit.
        at_a_time: requests in flight.
        requests: of each load; few times `at_a_time` say little, as the last ones have the
            server to themselves.
        seed: of the prompts. A server may remember those of an earlier measurement with the same.
        prompt_words: of a long prompt.
        output_tokens: limit of a long reply.

    Raises:
        ConfigError: a request failed, or the server counts no tokens; with its reason.
    """

    async def load(words: int, limit: int, numbers: range) -> tuple[list[Usage], float]:
        places = asyncio.Semaphore(at_a_time)

        async def ask(number: int) -> Usage:
            request = _request(expert, words, limit, number, seed)
            async with places:
                return (await provider.send(request)).usage

        begun_s = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(ask(number)) for number in numbers]
        except ExceptionGroup as failed:
            first = failed.exceptions[0]
            if not isinstance(first, ProviderError):
                raise
            raise ConfigError(f"expert {expert.name} cannot be measured: {first}") from first
        return [task.result() for task in asked], time.monotonic() - begun_s

    counted = range(requests)
    warm_up = range(requests, requests + at_a_time)
    await load(prompt_words, 1, warm_up)
    read, reading_s = await load(prompt_words, 1, counted)
    await load(_WORDS_OF_A_SHORT_PROMPT, output_tokens, warm_up)
    written, writing_s = await load(_WORDS_OF_A_SHORT_PROMPT, output_tokens, counted)
    return Throughput(
        Load(requests, sum(usage.input_tokens for usage in read), reading_s),
        Load(requests, sum(usage.output_tokens for usage in written), writing_s),
    )


def _request(expert: ExpertSpec, words: int, limit: int, number: int, seed: str) -> Request:
    """A question that no other begins like; its length in tokens is for the server to count."""
    rng = Random(f"{seed} {words} {number}")
    text = " ".join(f"{rng.randrange(10**6):06d}" for _ in range(words))
    return Request(
        expert=expert,
        messages=(Message("user", f"{text}\nGo on with numbers like these, for long."),),
        sampling=replace(expert.sampling, max_output_tokens=limit),
        problem_text=text,
        sample=number,
    )
