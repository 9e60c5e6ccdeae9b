"""What an imported episode comes to: its problem, its verdict, its costs.

A `Judge` holds what the user said about an import: the task that the problems belong to, who
says what is right, and whose prices count. It turns what a file reports into episodes as a run
of ours has them, marked as what they are: no cost of them is metered.

    judge = Judge("source", "source")
    records = [judge.record(episode) for episode in reading.episodes]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from corl_bench import grading
from corl_bench.errors import ConfigError, UnpricedModelError
from corl_bench.experts.base import Pool
from corl_bench.experts.recording import problem_key
from corl_bench.experts.recording_columns import quoted
from corl_bench.interop.reported import ReportedCall, ReportedEpisode
from corl_bench.money.basis import CostBasis
from corl_bench.money.price_library import price_at
from corl_bench.money.prices import Price
from corl_bench.results import CallRecord, ChargeRecord, EpisodeRecord
from corl_bench.tasks import LoadedTask
from corl_bench.tasks.golds import normalise_gold
from corl_bench.tasks.rows import clean_text
from corl_bench.types import AnswerKind, Problem, Verdict

Verdicts = Literal["source", "grader"]
Costs = Literal["source", "prices"]

_NO_CALL = ChargeRecord("no call, says the source", Decimal(0), basis="self_reported", id="no-call")
"""Of an episode that reports no call: that nothing was spent is somebody's word as well."""

_grade = lru_cache(maxsize=4096)(grading.grade)


@dataclass(slots=True)
class Judge:
    """How an import is to be judged and priced."""

    verdicts: Verdicts
    """Whose verdicts count: the file's, or our grader's. Where the file has none, ours."""
    costs: Costs
    """Whose costs count: the file's, or its tokens at our prices."""
    task: LoadedTask | None = None
    """The problems are this task's, and have its ids, golds and digest."""
    kind: AnswerKind = "math"
    """Of golds that come with the file."""
    pool: Pool | None = None
    """Prices of its experts by alias, else by model; else the price library's."""
    price_date: date | None = None
    prices: dict[str, Price] = field(default_factory=dict)
    """By expert: the prices that were used."""
    graded: int = 0
    """Episodes that our grader judged."""
    ungraded: int = 0
    """Episodes in error because nobody says what is right."""
    _by_text: Mapping[str, Problem] = field(default_factory=dict)
    _by_id: Mapping[str, Problem] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.task is not None:
            self._by_text = {problem_key(p.text): p for p in self.task.problems}
            self._by_id = {p.id: p for p in self.task.problems}

    def place(self, episode: ReportedEpisode) -> ReportedEpisode:
        """The episode with the problem of the task, and its gold as every task has it.

        Raises:
            ConfigError: the task has no such problem, or a gold is none of its kind.
        """
        if self.task is not None:
            problem = self._problem(episode)
            placed = replace(
                episode,
                task=self.task.label,
                problem_id=problem.id,
                statement=problem.text,
                gold=problem.answer,
                kind=problem.kind,
                subject=problem.subject,
                level=problem.level,
            )
        else:
            placed = replace(episode, kind=episode.kind or self.kind)
            if placed.gold is not None and (self.verdicts == "grader" or placed.correct is None):
                placed = replace(placed, gold=_normalised(placed))
        if placed.carried is not None:
            carried = replace(
                placed.carried,
                task=placed.task,
                problem_id=placed.problem_id,
                subject=placed.subject if self.task else placed.carried.subject,
                level=placed.level if self.task else placed.carried.level,
            )
            placed = replace(placed, carried=carried)
        return placed

    def _problem(self, episode: ReportedEpisode) -> Problem:
        assert self.task is not None
        if episode.statement is not None:
            found = self._by_text.get(problem_key(episode.statement))
        else:
            found = self._by_id.get(episode.problem_id)
        if found is None:
            raise ConfigError(
                f"{episode.place}: {quoted(episode.problem_id)} is no problem of task"
                f" {self.task.label}: its statement must be the same but for white space"
            )
        return found

    def record(self, episode: ReportedEpisode) -> EpisodeRecord:
        """The episode as a run has it.

        Args:
            episode: as `place` gave it.

        Raises:
            ConfigError: there is no gold to grade by, or a call without tokens is to be priced.
            UnpricedModelError: a model has no price.
        """
        made = episode.carried or self._assembled(episode)
        verdict = self._verdict(episode, made)
        if self.costs == "prices":
            made = replace(
                made,
                calls=tuple(
                    self._priced(call, episode.place) if call.usage is not None else call
                    for call in made.calls
                ),
            )
            if any(call.status == "ok" and call.usage is None for call in made.calls):
                raise ConfigError(
                    f"{episode.place}: no token counts, so its cost cannot be found from prices"
                )
        if not made.costs:
            made = replace(made, charges=(_NO_CALL,))
        return replace(made, verdict=verdict.status, answer=verdict.answer, detail=verdict.detail)

    def _verdict(self, episode: ReportedEpisode, made: EpisodeRecord) -> Verdict:
        if episode.error or (episode.carried is not None and made.verdict == "error"):
            return Verdict("error", None, episode.error or made.detail)
        by_grader = self.verdicts == "grader" or episode.correct is None
        if by_grader and episode.gold is not None:
            self.graded += 1
            return _grade(episode.gold, made.response, kind=episode.kind or self.kind)
        if self.verdicts == "grader":
            raise ConfigError(
                f"{episode.place}: no gold answer to grade by: name the task with --task"
            )
        if episode.carried is not None:
            return Verdict(made.verdict, made.answer, made.detail)
        if episode.correct is None:
            self.ungraded += 1
            return Verdict("error", episode.answer, "the source gives no verdict, and no gold")
        return Verdict("correct" if episode.correct else "wrong", episode.answer, episode.detail)

    def _assembled(self, episode: ReportedEpisode) -> EpisodeRecord:
        single = len(episode.calls) == 1
        calls = tuple(
            _call(call, number, episode.correct if single and call.text is not None else None)
            for number, call in enumerate(episode.calls, 1)
        )
        return EpisodeRecord(
            task=episode.task,
            problem_id=episode.problem_id,
            system=episode.system,
            budget=None if episode.budget is None else episode.budget.name,
            budget_usd=None if episode.budget is None else episode.budget.usd,
            sample=episode.sample,
            verdict="error",
            answer=None,
            response=episode.response,
            calls=calls,
            latency_s=_latency_s(episode),
            subject=episode.subject,
            level=episode.level,
            events=episode.events,
        )

    def _priced(self, call: CallRecord, place: str) -> CallRecord:
        assert call.usage is not None
        price = self._price(call, place)
        if self.prices.setdefault(call.expert, price) != price:
            raise ConfigError(
                f"{place}: expert {quoted(call.expert)} has another price than above: two models"
                " have one name, so name each its own"
            )
        return replace(call, list_cost_usd=price.cost_usd(call.usage), basis="self_reported")

    def _price(self, call: CallRecord, place: str) -> Price:
        if self.pool is not None:
            for expert in self.pool.experts:
                if call.expert == expert.name or call.model == expert.model:
                    return expert.price
            raise UnpricedModelError(
                f"{place}: pool {self.pool.name} has no expert {quoted(call.expert)} or model"
                f" {quoted(call.model)}: add it with its price"
            )
        try:
            return price_at(call.model, self.price_date or date.today())
        except UnpricedModelError as error:
            raise UnpricedModelError(f"{place}: {error}") from None


def _latency_s(episode: ReportedEpisode) -> float:
    if episode.latency_s is not None:
        return episode.latency_s
    return sum(call.latency_s for call in episode.calls)


def _call(call: ReportedCall, number: int, correct: bool | None) -> CallRecord:
    basis: CostBasis = "opaque" if call.cost_usd is None else "self_reported"
    return CallRecord(
        expert=call.expert,
        model=call.model,
        status=call.status,
        role=call.role,
        finish=call.finish,
        text=call.text,
        usage=call.usage,
        list_cost_usd=call.cost_usd or Decimal(0),
        latency_s=call.latency_s,
        source_correct=correct,
        detail=call.detail,
        id=str(number),
        basis=basis,
    )


def _normalised(episode: ReportedEpisode) -> str:
    assert episode.gold is not None and episode.kind is not None
    try:
        return clean_text(normalise_gold(episode.gold, episode.kind))
    except ValueError as error:
        raise ConfigError(f"{episode.place}: {error}") from None
