"""`learned:…`: fitted routers as systems, each operating point one of them.

    learned:DIR          reads the budget: the most accurate point in training within it
    learned:DIR@0.3      one point, at λ = 0.3; it is blind to budgets
    learned:DIR@0,0.1    several; of a cascade only those that were fitted
    learned:DIR@*        every point that was fitted; of a cascade's that call alike the first

A router sees the statement and the budget, a cascade the replies besides. It is refused where the
pool lacks one of its experts or has another model or price under the same name: what it learned
would not be of these experts. `docs/routers-learned.md` tells it to users.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from corl_bench.episode import Episode, ExpertReply
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.files import path_of
from corl_bench.metrics.arrays import Array
from corl_bench.routers.base import CallCounts, Router
from corl_bench.routers.decisions import FEE, Choice, Deciding, Question
from corl_bench.routers.learned.chains import reply_vectors, signs_of
from corl_bench.routers.learned.choosing import Point, choose, point_within
from corl_bench.routers.learned.embedding import Embedding
from corl_bench.routers.learned.fitting import Encoder, Fitted
from corl_bench.routers.learned.linear import Lines
from corl_bench.routers.learned.router_file import FILE_NAME
from corl_bench.routers.learned.saved import Saved, read_fitted
from corl_bench.types import Budget

SCORE_FEE = "the score of a reply"


def make_learned(rest: str, pool: Pool) -> list[Router]:
    """The family behind `learned:`.

    Raises:
        ConfigError: there is no fitted router, it cannot be used with this pool, or no such λ.
    """
    folder_text, trade_offs = _parse(rest)
    saved = read_fitted(path_of(folder_text))
    _check_pool(saved, pool, f"learned:{rest}")
    name = f"learned:{folder_text.rstrip('/') or '/'}"
    if trade_offs == "":
        return [_system(name, saved, None)]
    wanted = _points(saved.fitted, trade_offs, f"learned:{rest}")
    return [_system(f"{name}@{shown(p.trade_off)}", saved, p) for p in wanted]


def shown(trade_off: float) -> str:
    """λ as a system's name has it: the shortest text that reads back as this number."""
    return repr(trade_off).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Chooser(Deciding):
    """A fitted router that asks one expert, with what it calls on average for `--dry-run`."""

    calls: tuple[tuple[str, float], ...] = ()
    fitted_on: str = ""
    """Digest of the rows that it was fitted on."""

    def call_counts(self) -> CallCounts:
        return {expert: (0, share, 1) for expert, share in self.calls}


@dataclass(frozen=True, slots=True)
class Estimating:
    """Decides by predicted accuracy and cost."""

    digest: str
    trade_off: float | None
    """λ; None: the point that suits the budget."""
    fitted: Fitted = field(compare=False, repr=False)

    async def decide(self, question: Question) -> Choice:
        """The expert with the highest predicted accuracy less λ times predicted cost."""
        fitted, trade_off = self.fitted, self.trade_off
        assert not isinstance(fitted.model, Lines)
        if trade_off is None:
            budget = None if question.budget is None else question.budget.usd
            trade_off = point_within(fitted.points, budget).trade_off
        vectors = await _encode(fitted.statements, question.text)
        accuracy, cost_usd = fitted.model.estimate(vectors)
        (place,) = choose(accuracy, cost_usd, price=trade_off / fitted.unit_usd)
        predicted = f"{accuracy[0, place]:.3f} right, ${cost_usd[0, place]:.6f}"
        return Choice(fitted.experts[place], f"λ {shown(trade_off)}: predicted {predicted}")


@dataclass(frozen=True, slots=True)
class ScoringCascade:
    """Asks the next expert of its chain until a reply's score reaches its threshold."""

    name: str
    digest: str
    point: Point | None = field(compare=False, repr=False)
    """None: the point that suits the budget."""
    fitted: Fitted = field(compare=False, repr=False)
    fee_usd: Decimal = Decimal(0)
    """Of one text that an embedding model reads, as stated at the fit."""
    is_oracle: bool = False
    fitted_on: str = ""
    """Digest of the rows that it was fitted on."""

    @property
    def reads_budget(self) -> bool:
        return self.point is None

    async def solve(self, problem: str, budget: Budget | None, episode: Episode) -> str | None:
        """The first reply that is good enough, else the last that came."""
        budget_usd = None if budget is None else budget.usd
        point = self.point or point_within(self.fitted.points, budget_usd)
        statement: Array | None = None
        text: str | None = None
        for place, expert in enumerate(point.chain):
            reply = await episode.call(expert)
            text = text if reply.text is None else reply.text
            if reply.text is None or place == len(point.thresholds):
                continue  # nothing to score, or nobody to go on to
            if statement is None:
                statement = await _encode(self.fitted.statements, problem)
                self._charge(episode, FEE, None)
            score = await self._score(statement, reply, episode)
            episode.note(f"score {score:.3f} of {expert}, threshold {point.thresholds[place]:.3f}")
            if score >= point.thresholds[place]:
                break
        return text

    def call_counts(self) -> CallCounts:
        return {expert: (0, share, 1) for expert, share in _mean_calls(self.fitted, self.point)}

    async def _score(self, statement: Array, reply: ExpertReply, episode: Episode) -> float:
        """The chance that a reply is right, by the scorer of its expert."""
        fitted = self.fitted
        assert isinstance(fitted.model, Lines) and fitted.replies is not None
        assert reply.text is not None
        vectors = await _encode(fitted.replies, reply.text)
        self._charge(episode, SCORE_FEE, reply)
        has_answer = episode.answer_in(reply.text) is not None
        row = reply_vectors(statement, vectors, [signs_of(reply.text, reply.finish, has_answer)])
        return float(fitted.model.chances(row)[0, fitted.experts.index(reply.expert)])

    def _charge(self, episode: Episode, what: str, reply: ExpertReply | None) -> None:
        if self.fee_usd:
            episode.charge(self.fee_usd, what, basis="stated", of=reply)


async def _encode(encoder: Encoder, text: str) -> Array:
    """(1, width). A model may take its time, which must not hold up other episodes."""
    if isinstance(encoder, Embedding):
        return await asyncio.to_thread(encoder.encode, [text])
    return encoder.encode([text])


def _system(name: str, saved: Saved, point: Point | None) -> Router:
    fitted, fee_usd = saved.fitted, saved.features.usd_per_text
    fitted_on = saved.fitted_on.task_digest
    if fitted.kind == "cascade":
        return ScoringCascade(name, saved.digest, point, fitted, fee_usd, fitted_on=fitted_on)
    return Chooser(
        name=name,
        decider=Estimating(saved.digest, None if point is None else point.trade_off, fitted),
        reads_budget=point is None,
        fee_usd=fee_usd,
        digest=saved.digest,
        calls=_mean_calls(fitted, point),
        fitted_on=fitted_on,
    )


def _mean_calls(fitted: Fitted, point: Point | None) -> tuple[tuple[str, float], ...]:
    """Calls of a problem in training, by expert; over all points where the budget decides."""
    points = fitted.points if point is None else (point,)
    return tuple(
        (name, sum(p.calls.get(name, 0.0) for p in points) / len(points))
        for name in fitted.experts
        if any(name in p.calls for p in points)
    )


def _parse(rest: str) -> tuple[str, str]:
    """The folder, and what is said of λ; a folder may have an `@` in its name."""
    if not rest:
        raise ConfigError("'learned:': name the folder of a fitted router, learned:DIR")
    folder, at, trade_offs = rest.rpartition("@")
    if not at or _is_fitted(rest):
        return rest, ""
    if not folder or not trade_offs:
        raise ConfigError(f"'learned:{rest}': write learned:DIR@0.3, or learned:DIR@* for every λ")
    return folder, trade_offs


def _is_fitted(folder: str) -> bool:
    """Whether there is a fitted router by that name; λ behind it may make it none of a file."""
    try:
        return (path_of(folder) / FILE_NAME).is_file()
    except (ConfigError, OSError):
        return False


def _points(fitted: Fitted, text: str, system: str) -> Sequence[Point]:
    """The operating points that are meant.

    Raises:
        ConfigError: a λ is no number, or one that a cascade was not fitted for.
    """
    if text == "*":
        # For several λ a cascade may have one best chain: that is one system.
        different: dict[object, Point] = {}
        for point in fitted.points:
            by = (point.chain, point.thresholds) if point.chain else point.trade_off
            different.setdefault(by, point)
        return tuple(different.values())
    known = {point.trade_off: point for point in fitted.points}
    found = []
    for part in text.split(","):
        try:
            trade_off = float(part)
        except ValueError:
            trade_off = -1.0
        if not (math.isfinite(trade_off) and trade_off >= 0):
            raise ConfigError(f"{system!r}: λ is a number from 0 on, not {part.strip()!r}")
        if trade_off in known:
            found.append(known[trade_off])
        elif fitted.kind == "cascade":
            listed = ", ".join(shown(value) for value in known)
            raise ConfigError(
                f"{system!r}: this cascade has thresholds for λ {listed}; others come from the"
                f" training split: fit again with --lambda {shown(trade_off)}"
            )
        else:
            found.append(Point(trade_off, 0.0, 0.0, _all_calls(fitted)))
    return found


def _all_calls(fitted: Fitted) -> dict[str, float]:
    """What is known of a point that was not fitted: any expert may be called."""
    return dict.fromkeys(fitted.experts, 1 / len(fitted.experts))


def _check_pool(saved: Saved, pool: Pool, system: str) -> None:
    """Refuses a pool that is not the one that was learned.

    Raises:
        ConfigError: it lacks an expert, or one has another model or price.
    """
    offered = {expert.name: expert for expert in pool.experts}
    for known in saved.experts:
        expert = offered.get(known.name)
        if expert is None:
            raise ConfigError(
                f"{system!r} was fitted with expert {known.name!r}, which pool {pool.name!r} does"
                " not have: fit again with this pool"
            )
        if expert.model != known.model:
            raise ConfigError(
                f"{system!r}: {known.name!r} was {known.model} at the fit and is {expert.model} in"
                f" pool {pool.name!r}: fit again with this pool"
            )
        if expert.price.figures() != known.price:
            raise ConfigError(
                f"{system!r}: {known.name!r} had another price at the fit than in pool"
                f" {pool.name!r}: fit again with this pool, or use that day's --price-date"
            )
