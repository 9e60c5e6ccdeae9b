"""Simulated experts in process: the provider behind `provider = "simulated"`.

Invariant: a reply depends on (seed, expert, statement, draw number) and the output limit, and
is the same in every process. What the message says around the statement changes nothing but
the input that is counted; asking anew in one episode is a fresh draw, because the request's
`draw_seed` differs.

    provider = SimulatedProvider(pool, ProblemBook(problems), seed=0)
    reply = await provider.send(request)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corl_bench.experts.base import (
    CheckResult,
    ExpertSpec,
    FinishReason,
    Pool,
    Provider,
    Reply,
    Request,
)
from corl_bench.experts.recording import problem_key
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.draws import Draw, Outcome, draw, outcomes, shuffled
from corl_bench.experts.simulation.tables import Cell, SimulatedExpert, read_simulation
from corl_bench.experts.simulation.wording import (
    REFUSAL,
    UNKNOWN,
    answer_text,
    no_answer_text,
    truncated_text,
)
from corl_bench.types import Problem, Usage

if TYPE_CHECKING:
    from corl_bench.experts.providers import ProviderContext

_BYTES_A_TOKEN = 4


@dataclass(slots=True)
class _Known:
    """What is computed once of a problem."""

    cell: Cell
    key: str
    wrong: tuple[str, ...] | None = None
    """Wrong answers, the trap first; None until one is needed, as they take time to find."""


class SimulatedProvider:
    """Answers for all simulated experts of a pool.

    Args:
        pool: with `simulation` tables.
        book: the problems that can come up; any other is answered as unknown.
        seed: of all draws.
        latency_scale: how much of the declared latency is waited; 0: none, 1: all of it;
            None: what the pool says. The reply reports the declared latency in any case.

    Raises:
        ConfigError: the pool's tables are not usable.
    """

    def __init__(
        self,
        pool: Pool,
        book: ProblemBook,
        *,
        seed: int = 0,
        latency_scale: float | None = None,
    ) -> None:
        self.simulation = read_simulation(pool)
        self._book = book
        self._seed = seed
        self._scale = self.simulation.latency_scale if latency_scale is None else latency_scale
        self._experts = {expert.name: expert for expert in self.simulation.experts}
        self._possible: dict[tuple[str, int, int | None], tuple[Outcome, ...]] = {}
        self._known: dict[str, _Known] = {}

    async def send(self, request: Request) -> Reply:
        """Answers at once, or after the latency if that is asked for."""
        reply = self.reply(
            request.expert.name,
            self._book.find(request.problem_text),
            n_bytes=sum(len(message.content.encode()) for message in request.messages),
            draw_seed=request.draw_seed,
            max_output_tokens=request.sampling.max_output_tokens,
        )
        await self.wait(reply)
        return reply

    async def wait(self, reply: Reply) -> None:
        """Sleeps for as much of the reply's latency as was asked for."""
        if self._scale > 0:
            await asyncio.sleep(reply.latency_s * self._scale)

    async def check(self) -> CheckResult:
        """There is nothing to reach."""
        return CheckResult(reachable=None, detail="simulated")

    async def aclose(self) -> None:
        """There is nothing to close."""

    def reply(
        self,
        name: str,
        problem: Problem | None,
        *,
        n_bytes: int,
        draw_seed: int,
        max_output_tokens: int | None = None,
    ) -> Reply:
        """The reply of an expert.

        Args:
            name: the expert's alias.
            problem: what is asked; None: a problem that the book does not have.
            n_bytes: size of all messages in UTF-8; it decides the input tokens.
            draw_seed: which draw, as in `Request.draw_seed`.
            max_output_tokens: the request's limit; None: the expert's own.
        """
        expert = self._experts[name]
        extra = max(0, n_bytes - self.simulation.included_bytes)
        input_tokens = expert.input_tokens + -(-extra // _BYTES_A_TOKEN)
        if problem is None:
            short = min(self.simulation.token_quantum, max_output_tokens or 1_000_000)
            return self._reply(expert, UNKNOWN, Usage(input_tokens, output_tokens=short))
        known = self._know(problem)
        found = draw(
            expert,
            known.cell,
            self._outcomes(expert, known.cell.level, max_output_tokens),
            problem_key=known.key,
            draw_seed=draw_seed,
            seed=self._seed,
        )
        usage = Usage(
            input_tokens,
            output_tokens=found.outcome.output_tokens,
            reasoning_tokens=found.outcome.reasoning_tokens,
        )
        if found.outcome.kind == "refusal":
            return self._reply(expert, REFUSAL, usage, finish="refusal")
        if found.outcome.kind == "truncated":
            # Where all the output was hidden reasoning, nothing of it is seen.
            hidden = usage.reasoning_tokens >= usage.output_tokens
            text = "" if hidden else truncated_text(found.wording)
            return self._reply(expert, text, usage, finish="length")
        if found.answer is None:
            return self._reply(expert, no_answer_text(found.wording), usage)
        answer = self._answer(problem, known, found)
        return self._reply(expert, answer_text(answer, found.wording), usage)

    def _reply(
        self,
        expert: SimulatedExpert,
        text: str,
        usage: Usage,
        finish: FinishReason = "stop",
    ) -> Reply:
        return Reply(
            text=text,
            usage=usage,
            finish=finish,
            model=expert.spec.model,
            latency_s=expert.first_s + expert.per_token_s * usage.output_tokens,
        )

    def _know(self, problem: Problem) -> _Known:
        known = self._known.get(problem.text)
        if known is None:
            known = _Known(self.simulation.cell(problem), problem_key(problem.text))
            self._known[problem.text] = known
        return known

    def _answer(self, problem: Problem, known: _Known, found: Draw) -> str:
        if not found.answer:
            return problem.answer
        if known.wrong is None:
            wrong = self._book.distractors(problem)[: known.cell.wrong_answers]
            known.wrong = shuffled(wrong, known.key, self._seed)
        return known.wrong[found.answer - 1]

    def _outcomes(
        self, expert: SimulatedExpert, level: int, max_output_tokens: int | None
    ) -> tuple[Outcome, ...]:
        key = (expert.name, level, max_output_tokens)
        possible = self._possible.get(key)
        if possible is None:
            quantum = self.simulation.token_quantum
            possible = outcomes(expert, level, quantum, max_output_tokens)
            self._possible[key] = possible
        return possible


def make(spec: ExpertSpec, context: ProviderContext) -> Provider:
    """The factory behind `provider = "simulated"`; without a book every problem is unknown.

    Raises:
        ConfigError: the pool's tables are not usable.
    """
    book = context.book if context.book is not None else ProblemBook()
    return SimulatedProvider(context.pool, book, seed=context.seed)
