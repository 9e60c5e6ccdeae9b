"""What recordings teach: statements, the replies of every expert, who was right, what it cost.

The order of the rows of a file or a store decides nothing: examples stand in the order of their
statements' digests, and all that is learned later follows this one order. A problem that was
recorded several times gives several examples, the first draw of every expert, then the second.

    task = load_task("math", split="train")
    with RecordingStore.open(path, read_only=True) as store:
        examples = read_examples(task, store, pool)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool, Reply, Request
from corl_bench.experts.costs import cost_of
from corl_bench.experts.recording import RecordedCall, problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.money.amounts import sum_usd
from corl_bench.money.basis import BASIS_WORDS, is_known, weakest
from corl_bench.tasks import LoadedTask, render_prompt
from corl_bench.types import Message, Problem

FOLDS = 5
LEAST_PROBLEMS = 2 * FOLDS
"""With fewer there is nothing left to choose hyperparameters by."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One reply of one expert, judged and priced."""

    text: str
    finish: str
    has_answer: bool
    correct: bool
    cost_usd: float
    """List cost at the pool's prices, of all attempts; learned from, never added up as money."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What one split taught about one pool.

    Experts stand from cheap to dear by their mean cost here, equals by name.
    """

    experts: tuple[str, ...]
    statements: tuple[str, ...]
    """(examples,)"""
    drawn: tuple[tuple[Drawn, ...], ...]
    """(examples, experts)"""
    folds: NDArray[np.intp]
    """(examples,), each below `FOLDS`; examples of one statement share theirs."""
    problems: int
    left_out: int
    """Problems that not every expert has answered."""
    digest: str
    """Of statements, golds, replies, verdicts and costs."""

    @property
    def correct(self) -> NDArray[np.float64]:
        """(examples, experts), 1 where the reply is right."""
        return np.array([[reply.correct for reply in row] for row in self.drawn], float)

    @property
    def cost_usd(self) -> NDArray[np.float64]:
        """(examples, experts), dollars."""
        return np.array([[reply.cost_usd for reply in row] for row in self.drawn], float)


def read_examples(
    task: LoadedTask,
    store: RecordingStore,
    pool: Pool,
    *,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Examples:
    """Judges the recorded replies to a task's problems.

    Args:
        task: the split to learn from.
        store: has a reply of each expert to the task's own prompt, recorded or imported.
        pool: experts and their prices; a controller's own model is left out.
        seed: of the run that recorded simulated experts; others have none.
        advance: called after each problem.

    Raises:
        ConfigError: there are no such replies, an expert has none, too few problems have one
            of every expert, all replies are right or all wrong, or nobody counted their costs.
    """
    experts = [expert for expert in pool.experts if expert.role == "expert"]
    rows: list[tuple[Problem, tuple[Drawn, ...]]] = []
    answered = dict.fromkeys((expert.name for expert in experts), 0)
    left_out = 0
    for problem in task.problems:
        draws = [_draws(problem, task, expert, store, seed) for expert in experts]
        for expert, found in zip(experts, draws, strict=True):
            answered[expert.name] += bool(found)
        made = list(zip(*draws, strict=False))
        left_out += not made
        rows += [(problem, row) for row in made]
        advance()
    name = f"{task.spec.name}:{task.split}"
    _check(rows, answered, name, store)
    cheapest_first = sorted(
        range(len(experts)),
        key=lambda e: (sum(sorted(row[e].cost_usd for _, row in rows)), experts[e].name),
    )
    ordered = sorted(
        ((problem, tuple(row[e] for e in cheapest_first)) for problem, row in rows),
        key=lambda pair: _canonical(*pair),
    )
    return Examples(
        experts=tuple(experts[e].name for e in cheapest_first),
        statements=tuple(problem.text for problem, _ in ordered),
        drawn=tuple(row for _, row in ordered),
        folds=_folds([problem_key(problem.text) for problem, _ in ordered]),
        problems=len(task.problems) - left_out,
        left_out=left_out,
        digest=_digest(ordered),
    )


def _draws(
    problem: Problem, task: LoadedTask, expert: ExpertSpec, store: RecordingStore, seed: int
) -> list[Drawn]:
    """The replies that a run would be given for the task's own prompt, in their order."""
    prompt = (Message("user", render_prompt(task.spec, problem.text)),)
    request = Request(expert, prompt, expert.sampling, problem.text, seed=seed)
    found = []
    for sample, episode in store.draws(request):
        call = store.find(request.key(), sample, 0, episode=episode) or store.find_imported(
            problem_key(problem.text), expert.name, expert.model, sample
        )
        if call is None or call.reply is None:
            continue  # a failure says nothing of what the expert knows
        found.append(_judged(problem, call.reply, _cost_usd(expert, call)))
    return found


def _cost_usd(expert: ExpertSpec, call: RecordedCall) -> float:
    """List cost of all attempts, which somebody must have counted."""
    *failed, last = call.attempts
    costs = [cost_of(expert.pricing, attempt, None) for attempt in failed]
    costs.append(cost_of(expert.pricing, last, call.reply))
    if not is_known(basis := weakest(cost.basis for cost in costs)):
        raise ConfigError(
            f"the costs of expert {expert.name!r} are {BASIS_WORDS[basis]}: leave it out of the"
            " pool; a router learns from costs that were counted"
        )
    return float(sum_usd(cost.usd for cost in costs))


def _judged(problem: Problem, reply: Reply, total_usd: float) -> Drawn:
    verdict = grading.grade(problem.answer, reply.text, kind=problem.kind)
    has_answer = grading.extract(reply.text, kind=problem.kind) is not None
    return Drawn(reply.text, reply.finish, has_answer, verdict.correct, total_usd)


def _check(
    rows: list[tuple[Problem, tuple[Drawn, ...]]],
    answered: dict[str, int],
    name: str,
    store: RecordingStore,
) -> None:
    missing = [expert for expert, count in answered.items() if not count]
    if len(missing) == len(answered):
        raise ConfigError(
            f"{store.path} has no reply to any problem of {name}: run its single experts with"
            " --mode record, or import their answers"
        )
    if missing:
        raise ConfigError(
            f"{store.path} has no reply of expert {missing[0]!r} to any problem of {name}:"
            " record it, or leave it out of the pool"
        )
    if (problems := len({problem_key(problem.text) for problem, _ in rows})) < LEAST_PROBLEMS:
        raise ConfigError(
            f"{store.path} has replies of every expert to {problems} problems of {name}: it"
            f" takes {LEAST_PROBLEMS} to learn from"
        )
    verdicts = {reply.correct for _, row in rows for reply in row}
    if len(verdicts) == 1:
        which = "right" if verdicts.pop() else "wrong"
        raise ConfigError(
            f"{store.path}: every recorded reply to {name} is {which}: with one class only there"
            " is nothing to learn"
        )


def _canonical(problem: Problem, row: tuple[Drawn, ...]) -> tuple[str, ...]:
    """What examples are sorted by: equals are equal in all that is learned from."""
    replies = json.dumps([[r.text, r.finish, r.correct, r.cost_usd] for r in row])
    return problem_key(problem.text), problem.text, problem.kind, problem.answer, replies


def _folds(keys: list[str]) -> NDArray[np.intp]:
    """Deals statements out in the order of their digests, which is as good as a draw."""
    turn = {key: place % FOLDS for place, key in enumerate(sorted(set(keys)))}
    return np.array([turn[key] for key in keys], np.intp)


def _digest(ordered: list[tuple[Problem, tuple[Drawn, ...]]]) -> str:
    sha = hashlib.sha256()
    for problem, row in ordered:
        sha.update("\n".join(_canonical(problem, row)).encode("utf-8", "surrogatepass"))
    return f"sha256:{sha.hexdigest()}"
