"""Checks: is an entry what its raw episodes and ledger lines come to?

Each check is a function of a `Case` that returns one `Finding`; its name is the function's, and
the first line of its docstring says what it is for. None of them trusts another: whoever changes
a file and every digest with it still has to satisfy the grader, the price list, the ledger, the
task and, where experts are simulated, the simulation itself.

    for finding in [check(case) for check in CHECKS]:
        print(finding.check, finding.status, finding.text)
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from corl_bench import grading
from corl_bench.errors import ConfigError
from corl_bench.leaderboard.case import Case, derive_figures
from corl_bench.leaderboard.entry import entry_digest, entry_id, prices_digest
from corl_bench.leaderboard.findings import Finding, finding, places
from corl_bench.leaderboard.raw import rows_of, sha256_of, stamp_of
from corl_bench.leaderboard.redrawing import redrawn_response
from corl_bench.leaderboard.schema import is_withheld
from corl_bench.money.amounts import format_usd, parse_usd, sum_usd
from corl_bench.money.basis import weakest
from corl_bench.money.ledger import INTERRUPTED, LedgerLine
from corl_bench.results import CallRecord, episode_key
from corl_bench.results.outcomes import is_single
from corl_bench.routers.registry import parse_systems
from corl_bench.types import AnswerKind, Verdict

Check = Callable[[Case], Finding]

OWN_FAMILIES = frozenset({"single", "random", "mix", "cascade", "vote", "oracle"})
"""Families whose names say all that their systems are; only these are ever made from an entry.

A name of any other family is a stranger's path, command or address: none of it is opened, run or
asked, and such an entry needs the digest of its code.
"""
_FLOAT_TOLERANCE = 1e-9
"""Relative, of shares and means; dollars are compared to the last digit."""


def seal(case: Case) -> Finding:
    """The entry's file is as it was written: its digest covers every field."""
    digest = entry_digest(case.entry)
    if digest != case.entry.digest:
        return finding(seal, "failed", f"the file's digest is {digest}, not the one that it states")
    return finding(seal, "passed", "the file's digest is the one that it states")


def files(case: Case) -> Finding:
    """Episodes and ledger are the files of which the entry holds digest and number of lines."""
    episodes, ledger = case.entry.episodes, case.entry.ledger
    expected = entry_id(case.entry.system.name, episodes.sha256)
    if case.entry.id != expected:
        return finding(files, "failed", f"by its system and episodes its id is {expected}")
    for name, data, sha256, lines in (
        ("episodes", case.episodes_data, episodes.sha256, episodes.lines),
        ("ledger lines", case.ledger_data, ledger.sha256, ledger.lines),
    ):
        if sha256_of(data) != sha256:
            return finding(files, "failed", f"the {name} are not those of the entry's digest")
        if data.count(b"\n") != lines:
            return finding(files, "failed", f"the entry states another number of {name}")
    return finding(files, "passed", f"{episodes.lines:,} episodes, {ledger.lines:,} ledger lines")


def terms(case: Case) -> Finding:
    """Tasks, pool, prices, budgets, samples, seed and marks are those of the board."""
    entry, board = case.entry, case.board
    prices = {expert.name: expert.price for expert in board.pool.experts}
    budgets = {budget.name: format_usd(budget.usd) for budget in board.budgets}
    stated = {name: format_usd(parse_usd(usd)) for name, usd in entry.budgets.items()}
    wrong = [
        name
        for name, same in (
            ("tasks", dict(board.tasks) == entry.digests.tasks),
            ("pool", board.pool.digest == entry.digests.pool),
            ("prices", prices_digest(prices) == entry.digests.prices),
            ("samples", board.samples == entry.run.samples),
            ("seed", board.seed == entry.run.seed),
            ("budgets", stated == (budgets if entry.system.reads_budget else {})),
            ("cost mark", entry.cost in board.cost_marks),
            ("system mark", entry.system.mark in board.system_marks),
        )
        if not same
    ]
    if wrong:
        return finding(terms, "failed", f"not those of the board: {', '.join(wrong)}")
    if entry.digests.grader != grading.grader_digest():
        return finding(
            terms,
            "flagged",
            f"graded by another grader (version {entry.run.grader}) than this one"
            f" ({grading.GRADER_VERSION}); `regrading` says whether it matters",
        )
    return finding(
        terms, "passed", "tasks, pool, prices, budgets, samples and seed are the board's"
    )


def system(case: Case) -> Finding:
    """A system of the bench is what its name says; of any other the digest of its code is there."""
    facts = case.entry.system
    if facts.code is not None and facts.name.partition(":")[0] in OWN_FAMILIES:
        what = f"{facts.name} is a name of the bench's own systems, and this one's code is not"
        return finding(system, "failed", f"{what}: give it another `name`")
    if facts.code is not None:
        return finding(
            system, "passed", f"not of the bench; its code has sha256 {facts.code[:16]}…"
        )
    if not of_the_bench(case):
        what = "neither a system of the bench nor one with the digest of its code"
        return finding(system, "failed", what)
    try:
        (named,) = parse_systems([facts.name], case.board.pool)
    except (ConfigError, ValueError) as error:
        return finding(system, "failed", str(error))
    if (named.name, named.reads_budget, named.is_oracle) != (
        facts.name,
        facts.reads_budget,
        facts.oracle,
    ):
        what = f"{named.name} of the bench is another one: oracle, or told budgets, or its name"
        return finding(system, "failed", what)
    return finding(system, "passed", "a system of the bench")


def coverage(case: Case) -> Finding:
    """Every problem of every task is there, at every budget, with every sample, once."""
    entry, board = case.entry, case.board
    budgets: list[str | None] = [None]
    if entry.system.reads_budget and board.budgets:
        budgets = [budget.name for budget in board.budgets]
    counted = Counter(episode.key for episode in case.episodes)
    twice = [key for key, count in counted.items() if count > 1]
    foreign = [e.key for e in case.episodes if e.system != entry.system.name]
    foreign += [e.key for e in case.episodes if e.task not in board.tasks]
    if twice or foreign:
        what = f"{len(twice):,} episodes twice, {len(foreign):,} of another system or task"
        return finding(coverage, "failed", f"{what}{places(twice + foreign)}")
    wanted = {
        episode_key(name, problem.id, entry.system.name, budget, sample)
        for name, task in case.bench.tasks.items()
        for problem in task.problems
        for budget in budgets
        for sample in range(board.samples)
    }
    there = {episode.key for episode in case.episodes if episode.task in case.bench.tasks}
    missing, extra = sorted(wanted - there), sorted(there - wanted)
    if missing or extra:
        what = f"{len(missing):,} episodes are missing, {len(extra):,} are none of the task"
        return finding(coverage, "failed", f"{what}{places(missing + extra)}")
    mislabelled = [
        episode.key
        for episode in case.episodes
        if (problem := case.problem_of(episode)) is not None
        and (episode.subject, episode.level) != (problem.subject, problem.level)
    ]
    amounts = {budget.name: budget.usd for budget in board.budgets}
    mislabelled += [
        episode.key
        for episode in case.episodes
        if episode.budget_usd != (None if episode.budget is None else amounts.get(episode.budget))
    ]
    if mislabelled:
        what = f"{len(mislabelled):,} episodes with another subject, level or budget"
        return finding(coverage, "failed", f"{what}{places(mislabelled)}")
    if case.bench.absent:
        return finding(coverage, "unchecked", _absent(case))
    return finding(coverage, "passed", f"all {len(wanted):,} episodes, each once")


def texts(case: Case) -> Finding:
    """Texts that are kept elsewhere are the ones of the entry's digests, and none lies here."""
    facts = case.entry.episodes
    withheld = [name for name, task in case.bench.tasks.items() if not task.spec.redistributable]
    if open_ones := sorted(set(withheld) - set(facts.withheld)):
        return finding(texts, "failed", f"texts of {', '.join(open_ones)} must not lie here")
    if sorted(facts.withheld) != sorted(case.board.tasks.keys() & set(facts.withheld)):
        what = "texts are said to be elsewhere of tasks that the board does not have"
        return finding(texts, "failed", what)
    beside = rows_of(case.episodes_data, case.path.name)
    if wrong := [row for row in beside if is_withheld(row) != (row["task"] in facts.withheld)]:
        ids = [str(row["problem_id"]) for row in wrong]
        what = f"{len(wrong):,} episodes have texts that are said to be elsewhere, or none here"
        return finding(texts, "failed", f"{what}{places(ids)}")
    if case.texts == "here":
        return finding(texts, "passed", "all texts lie beside the entry")
    if case.texts == "proved":
        return finding(texts, "passed", "the texts found elsewhere are the ones")
    if case.texts == "absent":
        named = ", ".join(facts.withheld)
        return finding(
            texts,
            "unchecked",
            f"texts of {named} are at {facts.place}: fetch them and name their folder, --episodes",
        )
    return finding(texts, "failed", case.texts)


def regrading(case: Case) -> Finding:
    """The grader of today gives every response the verdict and the answer that are stated."""
    moved, ungraded, drawn, graded = [], 0, 0, 0
    for row, episode in zip(case.rows, case.episodes, strict=True):
        problem = case.problem_of(episode)
        if problem is None:
            ungraded += 1
            continue
        kept_back = row["response"] is None and stamp_of(row, "response") is not None
        response = row["response"]
        if kept_back:
            response = redrawn_response(case, row, episode, problem)
            if response is None:
                ungraded += 1
                continue
            drawn += 1
        graded += 1
        if episode.verdict == "error":
            # What went wrong in a system is its run's word; there is nothing to be graded.
            same = response is None and episode.answer is None
        else:
            judged = _judge(problem.answer, response, problem.kind)
            same = judged.status == episode.verdict
            # A line without texts has no answer either.
            same &= is_withheld(row) or judged.answer == episode.answer
        if not same:
            moved.append(episode.key)
    if moved:
        what = f"{len(moved):,} of {graded:,} verdicts or answers are not the grader's"
        return finding(regrading, "failed", f"{what}{places(moved)}")
    if ungraded:
        what = f"{graded:,} graded alike, {ungraded:,} without text or gold here"
        return finding(regrading, "unchecked", what)
    how = f", {drawn:,} of them drawn again" if drawn else ""
    return finding(regrading, "passed", f"{graded:,} responses graded alike{how}")


def repricing(case: Case) -> Finding:
    """Every ledger line costs its tokens times the board's prices, and names the price row."""
    experts = {expert.name: expert for expert in case.board.pool.experts}
    wrong, unmetered = [], []
    for line in case.ledger:
        if line.fee or line.basis != "metered":
            unmetered.append(line)
            continue
        expert = experts.get(line.expert)
        if expert is None or expert.model != line.model or expert.price.row_id != line.price:
            wrong.append(f"{line.call} (expert, model or price row)")
            continue
        due_usd = Decimal(0) if line.usage is None else expert.price.cost_usd(line.usage)
        if due_usd != line.list_cost_usd:
            stated = format_usd(line.list_cost_usd)
            wrong.append(f"{line.call} (${stated}, by its tokens ${format_usd(due_usd)})")
    if wrong:
        what = f"{len(wrong):,} of {len(case.ledger):,} ledger lines do not cost their tokens"
        return finding(repricing, "failed", f"{what}{places(wrong)}")
    if unmetered:
        amount = format_usd(sum_usd(line.list_cost_usd for line in unmetered))
        what = (
            f"{len(unmetered):,} of {len(case.ledger):,} ledger lines (${amount}) are fees or costs"
            " that nobody but the system states"
        )
        if case.entry.cost == "metered":
            return finding(repricing, "failed", f"{what}, and the entry says that it is metered")
        return finding(repricing, "unchecked", what)
    return finding(
        repricing,
        "passed",
        f"{len(case.ledger):,} ledger lines cost their tokens at the prices of"
        f" {case.board.price_date}",
    )


def bookkeeping(case: Case) -> Finding:
    """Every call has its ledger lines, with the same tokens and dollars; no line is left over."""
    lines: dict[str, list[LedgerLine]] = defaultdict(list)
    for line in case.ledger:
        lines[line.call].append(line)
    experts = {expert.name: (expert.role, expert.model) for expert in case.board.pool.experts}
    wrong = []
    for episode in case.episodes:
        made: Counter[str] = Counter()
        for call in episode.calls:
            name = f"{episode.key}#{call.id}"
            booked = lines.pop(name, [])
            known = call.basis != "metered" or experts.get(call.expert) == (call.role, call.model)
            # Repeated requests draw anew: one that begins with its second draw chose it.
            request, _, occurrence = call.id.partition(".")
            in_order = occurrence == str(made[request])
            if not (known and in_order and _booked_alike(booked, call)):
                wrong.append(name)
            made[request] += 1
        for charge in episode.charges:
            name = f"{episode.key}#{charge.id}"
            booked = lines.pop(name, [])
            amount_usd = sum_usd(line.list_cost_usd for line in booked)
            stated = {(bool(line.fee), line.basis) for line in booked} == {(True, charge.basis)}
            if not stated or amount_usd != charge.list_cost_usd:
                wrong.append(name)
    if wrong:
        what = (
            f"{len(wrong):,} calls have other tokens, dollars, attempts or experts than their"
            " ledger lines, or numbers that do not count up from 0"
        )
        return finding(bookkeeping, "failed", f"{what}{places(wrong)}")
    if lines:
        orphaned_usd = sum_usd(line.list_cost_usd for group in lines.values() for line in group)
        what = f"{len(lines):,} calls of the ledger (${format_usd(orphaned_usd)}) are in no episode"
        return finding(bookkeeping, "failed", f"{what}{places(list(lines))}")
    return finding(bookkeeping, "passed", "calls and ledger lines agree")


def figures(case: Case) -> Finding:
    """Every figure that the entry states follows from its episodes."""
    try:
        derived = derive_figures(case.entry, case.board, case.public)
    except ValueError as error:
        return finding(figures, "failed", str(error))
    stated = case.entry.figures
    if len(derived) != len(stated):
        what = f"{len(stated)} rows are stated, {len(derived)} follow"
        return finding(figures, "failed", what)
    wrong = [
        f"{row['task']} {row['budget'] or 'no budget'} {name}: {claimed.get(name)!r}, not {value!r}"
        for row, claimed in zip(derived, stated, strict=True)
        for name, value in row.items()
        if not _same(value, claimed.get(name))
    ]
    wrong += [
        f"unknown figure {name!r}"
        for row, claimed in zip(derived, stated, strict=True)
        for name in claimed.keys() - row.keys()
    ]
    if wrong:
        return finding(figures, "failed", f"{len(wrong)} do not follow{places(wrong)}")
    return finding(figures, "passed", "all figures follow from the episodes")


CHECKS: tuple[Check, ...] = (
    seal,
    files,
    terms,
    system,
    coverage,
    texts,
    regrading,
    repricing,
    bookkeeping,
    figures,
)


@lru_cache(maxsize=4096)
def _judge(gold: str, response: str | None, kind: AnswerKind) -> Verdict:
    # Systems of a board often return the very same reply.
    return grading.grade(gold, response, kind=kind)


def _booked_alike(lines: Sequence[LedgerLine], call: CallRecord) -> bool:
    if any((line.expert, line.model) != (call.expert, call.model) for line in lines):
        return False
    if sum_usd(line.list_cost_usd for line in lines) != call.list_cost_usd:
        return False
    if weakest(line.basis for line in lines) != call.basis:
        return False
    if call.status == "ok":
        answered = [line.usage for line in lines if line.status == "ok"]
        if answered != [call.usage]:
            return False
    elif call.usage is not None or any(line.status == "ok" for line in lines):
        return False
    if call.status == INTERRUPTED:
        return bool(lines)
    # Attempts that a kill or a stop cut off were made again; they are the ledger's alone. Of a
    # reply that was stored already, what is unsettled stands in the lines of another episode.
    kept = [line for line in lines if line.status != INTERRUPTED]
    if call.attempts > len(kept):
        return False
    return sum_usd(line.unsettled_usd for line in kept) <= call.unsettled_usd


def _same(value: Any, stated: Any) -> bool:
    if isinstance(value, float) and isinstance(stated, int | float):
        return math.isclose(value, stated, rel_tol=_FLOAT_TOLERANCE, abs_tol=_FLOAT_TOLERANCE)
    if isinstance(value, list | tuple) and isinstance(stated, list):
        return len(value) == len(stated) and all(map(_same, value, stated))
    if isinstance(value, dict) and isinstance(stated, dict):
        return value.keys() == stated.keys() and all(_same(value[k], stated[k]) for k in value)
    return type(value) is type(stated) and bool(value == stated)


def of_the_bench(case: Case) -> bool:
    """Whether the entry says that its system comes with the bench; `system` checks that it does."""
    facts = case.entry.system
    return facts.code is None and facts.name.partition(":")[0] in OWN_FAMILIES


def is_fixed_expert(case: Case) -> bool:
    """Whether the entry is of one expert of the pool alone, as the bench itself runs it."""
    name = case.entry.system.name
    experts = {expert.name for expert in case.board.pool.experts}
    return is_single(name) and of_the_bench(case) and name.partition(":")[2] in experts


def _absent(case: Case) -> str:
    return "; ".join(
        f"{name} could not be loaded: {why}" for name, why in case.bench.absent.items()
    )
