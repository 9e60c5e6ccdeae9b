"""Running a system again: on the board's own problems, and on fresh ones of the same kind.

Only systems that come with the bench are run, and only where every expert is simulated in
process: verifying an entry neither runs a stranger's code nor asks anyone for money. On the
board's problems the episodes have to be the same, line by line. On fresh problems (other numbers
and other wordings, from the same families of the generated task) the accuracy has to hold up: a
system whose answers are keyed on the wording of the benchmark loses it there.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist, fmean, variance

from corl_bench.leaderboard.case import Case
from corl_bench.leaderboard.checks import of_the_bench
from corl_bench.leaderboard.findings import Finding, finding, places
from corl_bench.leaderboard.raw import withhold
from corl_bench.results import EpisodeRecord, canonical_lines, encode_episode
from corl_bench.routers.registry import parse_systems
from corl_bench.tasks import LoadedTask, rows_digest
from corl_bench.tasks.synth import generate

ALPHA = 0.001
"""One-sided: a loss of accuracy on fresh problems that chance makes less often is flagged."""
LEAST_LOSS = 0.05
"""A smaller loss is not flagged, however sure it is."""


def rerun(case: Case) -> Finding:
    """The named system, run again with the entry's seed, makes the very same episodes."""
    if why := _why_not(case):
        return finding(rerun, "unchecked", why)
    made = _lines(case, _episodes(case, tuple(case.bench.tasks.values())))
    stated = _lines(case, case.public)
    differing = sorted(key for key, line in stated.items() if made.get(key) != line)
    if differing or made.keys() != stated.keys():
        what = f"{len(differing):,} of {len(stated):,} episodes come out differently"
        return finding(rerun, "failed", f"{what}{places(differing)}")
    return finding(rerun, "passed", f"{len(stated):,} episodes made again, all alike")


def wording(case: Case) -> Finding:
    """Accuracy holds up on fresh problems of the same kind: answers are not keyed on a wording."""
    if why := _why_not(case):
        return finding(wording, "unchecked", why)
    generated = [
        task for task in case.bench.tasks.values() if task.spec.splits[task.split].generated
    ]
    if not generated:
        return finding(wording, "unchecked", "no task of this board can be generated anew")
    names = {task.label for task in generated}
    stated = _scores(episode for episode in case.public if episode.task in names)
    fresh = _scores(_episodes(case, tuple(map(_freshly, generated))))
    loss = fmean(stated) - fmean(fresh)
    spread = math.sqrt(_variance(stated) / len(stated) + _variance(fresh) / len(fresh))
    p_value = 1 - NormalDist().cdf(loss / spread) if spread else float(loss <= 0)
    what = (
        f"accuracy {fmean(stated):.3f} on the board's problems, {fmean(fresh):.3f} on"
        f" {len(fresh):,} fresh ones (one-sided p = {p_value:.2g})"
    )
    lost = p_value < ALPHA and loss > LEAST_LOSS
    return finding(wording, "flagged" if lost else "passed", what)


def _why_not(case: Case) -> str:
    """Why the system is not run again; empty where it is."""
    if not case.bench.run_again:
        return "not asked for; --rerun does it where the system comes with the bench"
    if case.bench.absent:
        return "a task of the board is not here"
    pool = case.board.pool
    if any(expert.provider != "simulated" for expert in pool.experts):
        return "the pool's experts are not simulated, so another run would cost money"
    if not of_the_bench(case):
        return "the system does not come with the bench; a stranger's code is not run"
    return ""


def _episodes(case: Case, tasks: tuple[LoadedTask, ...]) -> list[EpisodeRecord]:
    """What the entry's system makes of some tasks, with the entry's seed."""
    # Here, so that a verification that runs nothing does not wait for what running needs.
    from corl_bench.runs.plan import Plan
    from corl_bench.runs.run import run

    board, name = case.board, case.entry.system.name
    # An oracle reads what the fixed experts of its run have stored.
    wanted = ["single:*", name] if case.entry.system.oracle else [name]
    plan = Plan(
        tasks=tasks,
        pool=board.pool,
        systems=tuple(parse_systems(wanted, board.pool)),
        budgets=board.budgets,
        samples=board.samples,
        seed=case.entry.run.seed,
        limit=None,
        mode="auto",
    )
    with tempfile.TemporaryDirectory() as folder:
        made = run(plan, Path(folder) / "run", command=["corl-bench", "leaderboard"], quiet=True)
        return [episode for episode in made.episodes if episode.system == name]


def _lines(case: Case, episodes: Iterable[EpisodeRecord]) -> dict[str, str]:
    """Canonical lines by key, texts withheld where the entry withholds them."""
    hidden = frozenset(case.entry.episodes.withheld)
    lines = {}
    for episode in episodes:
        row = encode_episode(episode)
        shown = withhold(row) if episode.task in hidden and episode.response is not None else row
        lines[episode.key] = canonical_lines([shown])[0]
    return lines


def _freshly(task: LoadedTask) -> LoadedTask:
    """As many problems of a generated task, of a seed that follows from the rows of the task."""
    seed = int.from_bytes(hashlib.sha256(task.digest.encode()).digest()[:6], "big")
    problems = tuple(generate(task.split, seed=seed, count=len(task.problems)))
    return replace(task, problems=problems, digest=rows_digest(problems), digest_status="unpinned")


def _scores(episodes: Iterable[EpisodeRecord]) -> list[float]:
    """Mean score of each problem over its samples and budgets."""
    right: dict[str, list[bool]] = defaultdict(list)
    for episode in episodes:
        right[episode.problem_id].append(episode.verdict == "correct")
    return [fmean(scores) for scores in right.values()]


def _variance(values: Sequence[float]) -> float:
    return variance(values) if len(values) > 1 else 0.0
