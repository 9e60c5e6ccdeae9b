"""Verification of a board: every check and every audit on every entry.

Invariant: an entry that cannot even be read is a finding like any other, so one broken file never
hides the state of the rest; and an entry that fails by itself is held against no other. Nothing
is downloaded, nobody is asked, and only systems that come with the bench are ever run.

    results = verify_board(Bench.of(read_board(Path("leaderboards/sim"))))
    [(result.entry_id, result.status) for result in results]
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.leaderboard.audits import AUDITS, reply_key, reused_replies, visible_tokens
from corl_bench.leaderboard.case import BROKEN, Bench, Case, Others, Place, open_case
from corl_bench.leaderboard.checks import CHECKS, Check, is_fixed_expert
from corl_bench.leaderboard.choices import (
    CHOICE_AUDITS,
    beaten_by_fixed_expert,
    duplicate,
    oracle_like,
)
from corl_bench.leaderboard.entry import ID
from corl_bench.leaderboard.findings import Finding, Status, finding, worst
from corl_bench.leaderboard.raw import EPISODES_SUFFIX, LEDGER_SUFFIX
from corl_bench.leaderboard.redrawing import simulation
from corl_bench.leaderboard.rerunning import rerun, wording

ALL_CHECKS: tuple[Check, ...] = (*CHECKS, simulation, rerun, *AUDITS, *CHOICE_AUDITS, wording)
"""In the order of docs/leaderboards.md."""
BESIDE_OTHERS = frozenset({reused_replies, beaten_by_fixed_expert, oracle_like, duplicate})
"""Checks that look at the board's other entries, too."""
READABLE = "readable"
"""The check that comes before all others."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What verification found out about one entry, or about a file that belongs to none."""

    path: Path
    findings: tuple[Finding, ...]

    @property
    def entry_id(self) -> str:
        """The entry's id; of a file that is named otherwise, one that is safe to be shown."""
        return _safe_id(self.path)

    @property
    def status(self) -> Status:
        return worst(self.findings)


def verify_board(
    bench: Bench,
    paths: Sequence[Path] | None = None,
    *,
    advance: Callable[[], None] = lambda: None,
    opened: dict[Path, Case] | None = None,
) -> tuple[Verification, ...]:
    """Verifies entries of a board, each beside all others that do not fail.

    Args:
        bench: the board with its tasks.
        paths: entries, of the board or to join it; None: all of the board, and every file in
            their folder that belongs to none.
        advance: called after each entry.
        opened: is filled with the entries that can be read, for whoever goes on with them. Else
            each is read again when it is due, and one at a time is in memory.
    """
    on_board = bench.board.entry_files()
    asked = on_board if paths is None else list(paths)
    gathered = _Gathered()
    alone: dict[Path, tuple[Finding, ...]] = {}
    for path in dict.fromkeys((*on_board, *asked)):
        # Running a system takes long; of an entry that nobody asks about it is left out.
        here = bench if path in asked else replace(bench, run_again=False)
        alone[path] = _verify_alone(path, here, gathered, opened)
        if path in asked:
            advance()
    others = gathered.others()
    found = [
        Verification(path, _beside(path, alone[path], bench, others, opened)) for path in asked
    ]
    if paths is None:
        stray = "it belongs to no entry: remove it from the folder of entries"
        found += [
            Verification(path, (Finding(READABLE, "failed", f"{path.name}: {stray}"),))
            for path in _stray_files(bench)
        ]
    return tuple(sorted(found, key=lambda result: result.entry_id))


def _verify_alone(
    path: Path, bench: Bench, gathered: _Gathered, opened: dict[Path, Case] | None
) -> tuple[Finding, ...]:
    """What is found in the entry by itself; gathers what the others are held against."""
    try:
        case = open_case(path, bench)
    except ConfigError as error:
        return (Finding(READABLE, "failed", str(error)),)
    if opened is not None:
        opened[path] = case
    readable = Finding(READABLE, "passed", "all files and lines are of their schemas")
    alone = [_made(check, case) for check in ALL_CHECKS if check not in BESIDE_OTHERS]
    if all(found.status != "failed" for found in alone):
        gathered.add(case)
    return (readable, *alone)


def _beside(
    path: Path,
    alone: tuple[Finding, ...],
    bench: Bench,
    others: Others,
    opened: Mapping[Path, Case] | None,
) -> tuple[Finding, ...]:
    """All findings of an entry, in the order of the checks."""
    if len(alone) == 1:
        return alone
    case = replace(opened[path], others=others) if opened else open_case(path, bench, others)
    readable, *rest = alone
    listed = iter(rest)
    return (
        readable,
        *(_made(check, case) if check in BESIDE_OTHERS else next(listed) for check in ALL_CHECKS),
    )


def _made(check: Check, case: Case) -> Finding:
    """The finding of a check; values that no run writes are a finding, never a traceback."""
    try:
        return check(case)
    except BROKEN as error:
        return finding(check, "failed", f"a value is none that a run writes: {error!r}")


@dataclass(slots=True)
class _Gathered:
    """What entries say together; of two of one fixed expert the first by id counts."""

    fixed: dict[str, dict[Place, tuple[bool, Decimal]]] = field(default_factory=dict)
    sizes: dict[tuple[str, str, str, str], dict[str, set[int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    alike: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))

    def add(self, case: Case) -> None:
        name = case.entry.system.name
        self.alike[case.content].add((case.entry.id, name))
        if is_fixed_expert(case):
            answers = {
                (e.task, e.problem_id, e.sample): (e.verdict == "correct", e.list_cost_usd)
                for e in case.public
            }
            self.fixed.setdefault(name, answers)
        for row, episode in zip(case.rows, case.episodes, strict=True):
            for raw, call in zip(row["calls"], episode.calls, strict=True):
                key = reply_key(episode, raw)
                if key is not None and call.usage is not None:
                    counts = self.sizes[key].setdefault(case.entry.id, set())
                    counts.add(visible_tokens(call.usage))

    def others(self) -> Others:
        return Others(
            fixed=self.fixed,
            sizes={
                key: {entry: frozenset(counts) for entry, counts in by_entry.items()}
                for key, by_entry in self.sizes.items()
                if len(by_entry) > 1
            },
            alike={key: frozenset(names) for key, names in self.alike.items() if len(names) > 1},
        )


def _stray_files(bench: Bench) -> list[Path]:
    folder, known = bench.board.entries, set(bench.board.entry_files())
    for path in tuple(known):
        known |= {path.with_name(path.stem + suffix) for suffix in (EPISODES_SUFFIX, LEDGER_SUFFIX)}
    return sorted(set(folder.iterdir()) - known) if folder.is_dir() else []


def _safe_id(path: Path) -> str:
    stem = path.stem if path.suffix == ".json" else path.name
    if re.fullmatch(ID, stem):
        return stem
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()[:60]).strip("-")
    return f"{slug or 'file'}-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}"


def status_of_board(found: Iterable[Verification], bench: Bench) -> Status:
    """The worst status of an entry; `unchecked` is that of a task whose rows are not here, too."""
    statuses: set[Status] = {result.status for result in found}
    if bench.absent:
        statuses.add("unchecked")
    order: tuple[Status, ...] = ("failed", "unchecked", "flagged")
    return next((status for status in order if status in statuses), "passed")
