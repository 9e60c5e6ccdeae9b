"""kill -9 at random points of everything that writes: is anything lost, paid twice, unreadable?

Every command is killed at its n-th change of a file (a write, half of one, a truncation, a rename,
…), n drawn at random, by `kill_at_write.c`; and then again, until it has been killed often enough
in this folder and may end. After each kill a copy of the folder is read as the next command would
read it. A command is a fork of this process, so that nothing is imported two hundred times. What
must hold, or the exit code is 1:

- every file can be read, and nothing that was in it at an earlier kill is gone;
- no reply that is stored is asked for again, by the server's own count;
- every attempt that was in flight is settled by its stored reply or stands as unsettled at its
  worst case, once; dollars bracket the server's bill;
- in the end there is what an uninterrupted command leaves, byte for byte but for times.

    python benchmarks/crash_points.py                      # 200 kills
    python benchmarks/crash_points.py --kills 10 --only run,serve

Needs Linux and a C compiler (`cc`); training needs torch, and is left out without it.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import importlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
from bookkeeping import COMMAND, Log, ledger_faults, sum_of

from corl_bench.cli.main import main as corl_bench
from corl_bench.errors import ConfigError
from corl_bench.experts.store import RecordingStore
from corl_bench.files import read_lines
from corl_bench.money.ledger import Ledger
from corl_bench.results import canonical_lines, read_episodes, read_manifest, read_summary
from corl_train.cli.main import main as corl_train

PROGRAMS = {"corl-bench": corl_bench, "corl-train": corl_train}
SHARES = {"run": 45, "record": 35, "live": 20, "regrade": 20, "grade": 10, "import": 10}
SHARES |= {"train": 30, "serve": 30}
"""Kills of each command, of 200."""
PER_FOLDER = 8
"""A folder's commands are killed so many times before one may end."""
LATENCY = "0.02"
FOLDER = "CORL_CRASH_FOLDER"
"""Environment variable of this script when it has been started with the library."""
REPETITION = 1_000_000
"""Draws of a request that an episode makes again lie so far apart; see `Request.draw_seed`."""
APPENDED = ("episodes.jsonl", "ledger.jsonl", "journal.jsonl", "requests.jsonl", "samples.jsonl")
RECIPE = """
[data]
pool = "pool.toml"
train = "problems.jsonl"
validation = "problems.jsonl"
test = "tested.jsonl"
protocol = "digest"
[policy]
width = 16
depth = 1
heads = 2
words = 50
[warm_start]
episodes = 64
learning_rate = 1e-2
minibatch = 4
bare_epochs = 2
epochs = 1
rehearsals = 0
[training]
iterations = 3
episodes = 16
epochs = 1
[schedule]
validate_every = 2
validation_problems = 4
checkpoint_every = 1
"""
"""Training so small that it takes a second or two."""


@dataclass
class Bench:
    """A folder, the server that is asked from there, and what has gone wrong.

    Args:
        folder: all files are below it.
        library: `kill_at_write.so`, which this process was started with.
        pool: file of the served pool.
        log: of the server.
        random: draws the points.
    """

    folder: Path
    library: ctypes.CDLL
    pool: Path
    log: Log
    random: random.Random
    faults: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    cut_short: Counter[str] = field(default_factory=Counter)
    """What the commands left behind at their kills: attempts in flight, torn lines, …"""

    def count(self, command: Sequence[str], *, under: Path) -> int:
        """Runs a command to its end: how often it changes a file below a folder."""
        counted = self.folder / "changes"
        self.finish(command, under=under, counted=counted)
        return int(counted.read_text())

    def finish(
        self, command: Sequence[str], *, under: Path | None = None, counted: Path | None = None
    ) -> None:
        """Runs a command to its end."""
        said = self.folder / "said.txt"
        with said.open("wb") as output:
            child = self.fork(command, output.fileno(), under=under, counted=counted)
        if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            words = said.read_text(errors="replace").strip()[-400:]
            self.faults.append(f"exit {code} of {' '.join(command)}: {words}")

    def kill(self, command: Sequence[str], *, under: Path, at: int) -> bool:
        """Runs a command that is killed at a change; whether it was, or had ended before."""
        said = self.folder / "said.txt"
        with said.open("wb") as output:
            child = self.fork(command, output.fileno(), under=under, at=at)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code not in (0, -signal.SIGKILL):
            words = said.read_text(errors="replace").strip()[-400:]
            self.faults.append(f"exit {code} behind a kill: {words}")
        return code == -signal.SIGKILL

    def fork(
        self,
        command: Sequence[str],
        output: int,
        *,
        under: Path | None = None,
        at: int = 0,
        counted: Path | None = None,
    ) -> int:
        """Starts a command as a fork of this process: its number.

        Args:
            command: its words, `corl-bench` or `corl-train` first.
            output: where it writes.
            under: changes of files below this folder count.
            at: the one it is killed at; 0 is none.
            counted: gets their number in the end.
        """
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        code = 70
        try:
            os.chdir(self.folder)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
            if under is not None:
                self.library.kill_at_change(str(under).encode(), at)
            try:
                PROGRAMS[command[0]](list(command[1:]))
            except SystemExit as ending:
                code = int(ending.code or 0)
            sys.stdout.flush()
            if counted is not None:
                counted.write_text(str(self.library.changes_so_far()))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def expect(self, holds: bool, words: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.faults.append(words)


# --- what a kill leaves ----------------------------------------------------------------------


@dataclass(frozen=True)
class Left:
    """A folder as a kill has left it."""

    files: dict[str, bytes]
    """Whole lines of those that only grow."""
    stored: frozenset[tuple[str, str, int]]
    """Replies: expert, problem, draw."""
    in_flight: tuple[Any, ...]
    """Attempts on the journal alone."""
    answered: frozenset[tuple[str, int]]
    """Those of them whose reply is stored."""
    episodes: int


def read_left(bench: Bench, run_dir: Path, store: Path | None = None) -> Left:
    """Reads a copy of a folder with the readers of the commands that come after a kill."""
    copy = bench.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    if run_dir.exists():
        shutil.copytree(run_dir, copy, dirs_exist_ok=True)
    path = copy / "recordings.sqlite"
    if store is not None:
        for file in store.parent.glob(f"{store.name}*"):
            shutil.copy(file, copy / file.name.replace(store.name, path.name))
    files = {name: whole_lines(copy / name) for name in APPENDED}
    torn = sum((copy / n).exists() and (copy / n).read_bytes() != files[n] for n in APPENDED)
    bench.cut_short["torn lines"] += torn
    for name in APPENDED:
        list(read_lines(copy / name))
    if (copy / "manifest.json").exists():
        read_manifest(copy)
    if (copy / "summary.json").exists():
        read_summary(copy)
    episodes = len(read_episodes(copy)) if files["episodes.jsonl"] else 0
    calls = stored_calls(path)
    in_flight: tuple[Any, ...] = ()
    if (copy / "ledger.jsonl").exists():
        with Ledger.open(copy) as ledger:
            in_flight = tuple(ledger.unaccounted())
    bench.cut_short["attempts in flight"] += len(in_flight)
    bench.cut_short["files half written"] += len(list(copy.glob(".*.json.*")))
    draws = {(c.request_key, c.sample, c.occurrence, c.episode): c for c in calls if c.reply}
    answered = frozenset(
        (i.call, i.attempt)
        for i in in_flight
        if (i.request_key, i.sample, i.occurrence, i.scope) in draws
    )
    bench.cut_short["of them with a stored reply"] += len(answered)
    stored = frozenset(
        (c.expert, c.problem_key, c.sample + REPETITION * c.occurrence) for c in draws.values()
    )
    return Left(files, stored, in_flight, answered, episodes)


def whole_lines(path: Path) -> bytes:
    """All of a file up to its last newline."""
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]


def stored_calls(path: Path) -> list[Any]:
    """What a store holds; nothing where it was not made or is still empty."""
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    with connection:
        (health,) = connection.execute("PRAGMA integrity_check").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection.close()
    assert health == "ok", health
    if not tables:
        return []
    with RecordingStore.open(path, read_only=True) as store:
        return list(store.calls())


class History:
    """A folder from kill to kill.

    Args:
        bench: notes what does not hold.
        run_dir: the folder.
        store: where its replies are; None is its own.
    """

    def __init__(self, bench: Bench, run_dir: Path, store: Path | None = None) -> None:
        self.bench = bench
        self.run_dir = run_dir
        self.store = store
        self.requests: list[dict[str, Any]] = []
        self.left: Left | None = None
        self.open: dict[tuple[str, int], tuple[Decimal, bool]] = {}
        """Attempts that were in flight at some kill: worst case, and whether it was answered."""

    def look(self, *, shared_draws: bool = True) -> Left:
        """After a kill: what is left, held against what was left before and asked since."""
        name = self.run_dir.name
        news = self.bench.log.news()
        before, now = self.left, read_left(self.bench, self.run_dir, self.store)
        if before is not None:
            again = [row for row in news if request_of(row) in before.stored]
            self.bench.expect(not again or not shared_draws, f"{name}: {len(again)} asked again")
            self.bench.expect(before.stored <= now.stored, f"{name}: stored replies are gone")
            for file in APPENDED:
                grown = now.files[file].startswith(before.files[file])
                self.bench.expect(grown, f"{name}: {file} has lost lines")
        for intent in now.in_flight:
            attempt = intent.call, intent.attempt
            self.open[attempt] = intent.worst_usd, attempt in now.answered
        self.requests += news
        self.left = now
        return now

    def close(self) -> list[dict[str, Any]]:
        """In the end: the books, which are returned."""
        bench, name = self.bench, self.run_dir.name
        self.look()
        ledger = list(read_lines(self.run_dir / "ledger.jsonl"))
        journal = list(read_lines(self.run_dir / "journal.jsonl"))
        lines = {(line["call"], line["attempt"]): line for line in ledger}
        bench.expect(len(lines) == len(ledger), f"{name}: an attempt is booked twice")
        for intent in journal:
            known = (intent["call"], intent["attempt"]) in lines
            bench.expect(known, f"{name}: {intent['call']} is on the journal alone")
        for attempt, (worst_usd, was_answered) in self.open.items():
            line = lines.get(attempt, {})
            if was_answered:
                stands = line.get("status") == "ok" and line["settled"]
            else:
                stands = line.get("status") == "interrupted" and not line["settled"]
                stands = stands and Decimal(line["unsettled_usd"]) == worst_usd
            bench.expect(stands, f"{name}: {attempt} was in flight and stands as {line}")
        bench.faults += [f"{name}: {fault}" for fault in ledger_faults(ledger, self.requests)]
        return ledger


def request_of(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """What a line of the server's log asks for."""
    return row["expert"], row["problem"], row["draw"]


def excess(rows: Iterable[Mapping[str, Any]], whole: Iterable[Mapping[str, Any]]) -> int:
    """Requests beyond those of an uninterrupted command."""
    return (Counter(map(request_of, rows)) - Counter(map(request_of, whole))).total()


def killed_often(
    bench: Bench, kind: str, kills: int, total: int, chain: Callable[[int], Chain]
) -> None:
    """Kills the commands of folder after folder, until it has been done so many times.

    Args:
        bench: notes what does not hold.
        kind: of the command.
        kills: how many.
        total: changes of files that an uninterrupted command makes.
        chain: makes the commands for a folder with a number.
    """
    number = 0
    while bench.kills[kind] < kills:
        step = chain(number)
        planned = min(PER_FOLDER, kills - bench.kills[kind])
        for _ in range(planned):
            # So far that the kills of a folder are spread over all that is to be done.
            at = bench.random.randint(1, max(2, 2 * total // planned))
            if not bench.kill(step.command, under=step.under, at=at):
                break
            bench.kills[kind] += 1
            step.look()
        step.end()
        number += 1


@dataclass
class Chain:
    """What is killed in one folder, again and again."""

    command: list[str]
    under: Path
    look: Callable[[], object]
    end: Callable[[], None]


# --- commands --------------------------------------------------------------------------------


def kill_runs(bench: Bench, kind: str, kills: int) -> None:
    """`corl-bench run`: with a store of its own, into a shared one, or live."""
    systems = ["--system", "single:*"]
    if kind != "live":
        systems += ["--system", "vote:nano,mini,large", "--system", "cascade:nano>large"]
        systems += ["--system", "oracle"]

    def command(out: Path, store: Path | None) -> list[str]:
        modes = {"run": [], "live": ["--mode", "live"], "record": ["--mode", "record"]}[kind]
        return [
            *("corl-bench", "run", "--task", "synth", "--limit", "14", "--quiet"),
            *("--pool", str(bench.pool), "--out", str(out), "--concurrency", "8"),
            *(*systems, *modes, *(["--recordings", str(store)] if store else [])),
        ]

    def place(name: str) -> tuple[Path, Path | None, Path]:
        under = bench.folder / f"{kind}-{name}"
        under.mkdir()
        return under / "run", under / "shared.sqlite" if kind == "record" else None, under

    whole, store, under = place("whole")
    bench.log.news()
    total = bench.count(command(whole, store), under=under)
    wanted = bench.log.news()

    def chain(number: int) -> Chain:
        run_dir, store, under = place(str(number))
        history = History(bench, run_dir, store)

        def end() -> None:
            bench.finish(command(run_dir, store))
            ledger = history.close()
            same_runs(bench, run_dir, whole)
            interrupted = sum(line["status"] == "interrupted" for line in ledger)
            asked = excess(history.requests, wanted)
            bench.expect(asked <= interrupted, f"{run_dir}: {asked} requests too many")
            before = (run_dir / "ledger.jsonl").read_bytes()
            bench.finish(command(run_dir, store))
            unchanged = (run_dir / "ledger.jsonl").read_bytes() == before and not bench.log.news()
            bench.expect(unchanged, f"{run_dir}: a finished run has asked or booked something")
            shutil.rmtree(under)

        return Chain(command(run_dir, store), under, lambda: history.look(), end)

    killed_often(bench, kind, kills, total, chain)


def same_runs(bench: Bench, run_dir: Path, whole: Path) -> None:
    """The same episodes to the byte, and the same figures; times apart."""
    lines = [canonical_lines(read_lines(d / "episodes.jsonl")) for d in (run_dir, whole)]
    bench.expect(lines[0] == lines[1], f"{run_dir}: other episodes than without kills")
    figures = []
    for directory in (run_dir, whole):
        summary = json.loads((directory / "summary.json").read_bytes())
        rows = [{k: v for k, v in r.items() if k != "timings"} for r in summary["rows"]]
        figures.append((rows, summary["finished"], summary["totals"]["list_cost_usd"]))
    bench.expect(figures[0] == figures[1], f"{run_dir}: another summary than without kills")
    left = {p.name for p in run_dir.iterdir()} ^ {p.name for p in whole.iterdir()}
    bench.expect(not left, f"{run_dir}: {', '.join(sorted(left))} in one of the folders alone")


def kill_regrades(bench: Bench, kills: int) -> None:
    """`corl-bench regrade --write` of a run by an older grader."""
    old = bench.folder / "regrade-old"
    bench.finish(
        ["corl-bench", "run", "--limit", "8", "--system", "single:*", "--quiet", "--out", str(old)]
    )
    rows = list(read_lines(old / "episodes.jsonl"))
    for row in rows[::3]:
        row |= {"verdict": "wrong", "answer": "of old"}
    (old / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = json.loads((old / "manifest.json").read_bytes())
    manifest["grader"] = manifest["identity"]["grader"] = "0"
    (old / "manifest.json").write_text(json.dumps(manifest))
    whole = bench.folder / "regrade-whole"
    shutil.copytree(old, whole)
    total = bench.count(["corl-bench", "regrade", str(whole), "--write"], under=whole)

    def chain(number: int) -> Chain:
        run_dir = bench.folder / f"regrade-{number}"
        shutil.copytree(old, run_dir)
        command = ["corl-bench", "regrade", str(run_dir), "--write"]

        def end() -> None:
            bench.finish(command)
            same_runs(bench, run_dir, whole)
            ours, theirs = (
                {(r.key, r.verdict, r.answer) for r in read_episodes(d)} for d in (run_dir, whole)
            )
            bench.expect(ours == theirs, f"{run_dir}: other verdicts than without kills")
            notes = [
                [entry | {"at": ""} for entry in read_manifest(d)["regraded"]]
                for d in (run_dir, whole)
            ]
            bench.expect(notes[0] == notes[1], f"{run_dir}: other notes than without kills")
            pages = [(d / "report.html").read_text().replace(d.name, "") for d in (run_dir, whole)]
            bench.expect(len(pages[0]) == len(pages[1]), f"{run_dir}: the report is an old one")
            shutil.rmtree(run_dir)

        return Chain(command, run_dir, lambda: read_left(bench, run_dir), end)

    killed_often(bench, "regrade", kills, total, chain)


def kill_grades(bench: Bench, kills: int) -> None:
    """`corl-bench grade --out`: the file is whole or not there."""
    answers = bench.folder / "answers.jsonl"
    rows = ({"id": n, "gold": str(n), "response": f"It is {n + n % 2}."} for n in range(300))
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = bench.folder / "grade-whole"
    whole.mkdir()
    command = ["corl-bench", "grade", str(answers), "--out"]
    total = bench.count([*command, str(whole / "graded.jsonl")], under=whole)
    wanted = (whole / "graded.jsonl").read_bytes()

    def chain(number: int) -> Chain:
        place = bench.folder / f"grade-{number}"
        place.mkdir()
        out = place / "graded.jsonl"

        def look() -> None:
            found = out.read_bytes() if out.exists() else wanted
            bench.expect(found == wanted, f"{out} is there in part")

        def end() -> None:
            bench.finish([*command, str(out)])
            bench.expect(out.read_bytes() == wanted, f"{out} is not what it should be")

        return Chain([*command, str(out)], place, look, end)

    killed_often(bench, "grade", kills, total, chain)


def kill_imports(bench: Bench, kills: int) -> None:
    """`corl-bench recordings import`: all rows or none."""
    answers = bench.folder / "recorded.jsonl"
    rows = (
        {"problem": f"What is {n} + {n}?", "expert": "small", "response": f"It is {2 * n}. " * 40}
        | {"usage": {"input_tokens": 14, "output_tokens": 6}}
        for n in range(2000)
    )
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def command(store: Path) -> list[str]:
        return ["corl-bench", "recordings", "import", str(store), str(answers)]

    whole = bench.folder / "import-whole"
    whole.mkdir()
    total = bench.count(command(whole / "store.sqlite"), under=whole)

    def chain(number: int) -> Chain:
        place = bench.folder / f"import-{number}"
        place.mkdir()
        store = place / "store.sqlite"

        def look() -> None:
            copied = bench.folder / "copied"
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(place, copied)
            found = len(stored_calls(copied / store.name))
            bench.expect(found in (0, 2000), f"{store} has {found} rows of 2000")

        def end() -> None:
            bench.finish(command(store))
            bench.expect(len(stored_calls(store)) == 2000, f"{store} lacks rows")
            shutil.rmtree(place)

        return Chain(command(store), place, look, end)

    killed_often(bench, "import", kills, total, chain)


def kill_trainings(bench: Bench, kills: int) -> None:
    """`corl-train run` on experts that bill."""
    from corl_train.runs.files import read_metrics, read_samples

    (bench.folder / "recipe.toml").write_text(RECIPE)
    write_synth_problems(bench.folder, {"problems.jsonl": 6, "tested.jsonl": 4})

    def command(out: Path) -> list[str]:
        return ["corl-train", "run", "recipe.toml", "--out", str(out), "--max-cost", "5", "--quiet"]

    def figures(folder: Path) -> list[str]:
        timed = ("cpu_s", "tokens_per_s")
        return [
            json.dumps({name: value for name, value in line.items() if name not in timed})
            for line in read_metrics(folder)
        ]

    def weights(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}

    bench.log.news()
    whole = bench.folder / "train-whole"
    total = bench.count(command(whole), under=whole)
    wanted = bench.log.news()

    def chain(number: int) -> Chain:
        folder = bench.folder / f"train-{number}"
        history = History(bench, folder)

        def look() -> None:
            history.look(shared_draws=False)
            if folder.exists():
                read_metrics(folder)
                read_samples(folder)

        def end() -> None:
            bench.finish(command(folder))
            ledger = history.close()
            bench.expect(figures(folder) == figures(whole), f"{folder}: other figures")
            bench.expect(weights(folder) == weights(whole), f"{folder}: other weights")
            interrupted = sum(line["status"] == "interrupted" for line in ledger)
            asked = excess(history.requests, wanted)
            bench.expect(asked <= interrupted, f"{folder}: {asked} requests too many")
            shutil.rmtree(folder)

        return Chain(command(folder), folder, look, end)

    killed_often(bench, "train", kills, total, chain)


def write_synth_problems(folder: Path, counts: Mapping[str, int]) -> None:
    """Some of the generated problems that the served pool knows, in files of so many each."""
    from corl_bench.tasks import load_task

    problems = iter(load_task("synth", limit=sum(counts.values())).problems)
    for name, count in counts.items():
        rows = (
            {"problem": p.text, "answer": p.answer, "subject": p.subject, "level": p.level}
            for p in islice(problems, count)
        )
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def kill_servers(bench: Bench, kills: int) -> None:
    """`corl-bench serve` while it is asked."""
    number = 0
    bench.log.news()
    while bench.kills["serve"] < kills:
        out = bench.folder / f"serve-{number}"
        history = History(bench, out)
        replies: list[dict[str, Any]] = []
        command = [
            *("corl-bench", "serve", "--system", "cascade:nano>mini", "--pool", str(bench.pool)),
            *("--out", str(out), "--quiet"),
        ]
        for _ in range(min(PER_FOLDER, kills - bench.kills["serve"])):
            at = bench.random.randint(1, 90)
            with serving(bench, command, under=out, at=at) as (server, url):
                if url:
                    replies += asyncio.run(ask_until_gone(url, enough=200))
                code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
            bench.expect(code == -signal.SIGKILL, f"{out}: exit {code} behind a kill")
            bench.kills["serve"] += 1
            history.look(shared_draws=False)
        with serving(bench, command, under=out, at=0) as (server, url):
            replies += asyncio.run(ask_until_gone(url, enough=5))
            os.kill(server, signal.SIGTERM)
            code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
        bench.expect(code == 0, f"{out}: exit {code} of a server that was asked to end")
        ledger = history.close()
        # What a client was told stands: an answer is booked before it is given.
        booked: dict[str, list[Mapping[str, Any]]] = {}
        for line in ledger:
            booked.setdefault(line["call"].partition("#")[0].partition("/")[2], []).append(line)
        for reply in replies:
            costs = reply["corl"]
            usd = sum_of(booked.get(costs["request"], ()), "list_cost_usd")
            bench.expect(usd == Decimal(costs["cost_usd"]), f"{out}: {costs} is not booked")
        bench.cut_short["answers that clients had"] += len(replies)
        list(read_lines(out / "requests.jsonl"))
        shutil.rmtree(out)
        number += 1


@contextmanager
def serving(
    bench: Bench, command: Sequence[str], *, under: Path, at: int
) -> Iterator[tuple[int, str]]:
    """A server's number and address, which is empty where it was killed before it had one."""
    reading, writing = os.pipe()
    server = bench.fork(command, writing, under=under, at=at)
    os.close(writing)
    with os.fdopen(reading) as said:
        yield server, (said.readline().split() or [""])[-1]
        if more := said.read().strip():
            bench.faults.append(f"a server said {more[-400:]}")


async def ask_until_gone(url: str, *, enough: int) -> list[dict[str, Any]]:
    """Answers of a server, four at a time, until it is gone or there are enough."""
    replies: list[dict[str, Any]] = []

    async def ask(session: aiohttp.ClientSession) -> None:
        while len(replies) < enough:
            body = {
                "model": "corl",
                "messages": [{"role": "user", "content": f"What is {len(replies)} + 1?"}],
            }
            async with session.post(f"{url}/chat/completions", json=body) as answer:
                replies.append(await answer.json())

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(ask(session) for _ in range(4)), return_exceptions=True)
    return replies


# --- all of it -------------------------------------------------------------------------------


def import_all(kinds: Sequence[str]) -> None:
    """Once, for all commands that are forked."""
    names = ["runs.run", "runs.plan", "report.html", "report.terminal", "report.analysis"]
    names += ["grading", "serve.server", "runs.regrading", "answer_files", "experts.openai"]
    names += ["experts.recording_files", "experts.transport", "experts.simulation.provider"]
    for name in names:
        importlib.import_module(f"corl_bench.{name}")
    if "train" in kinds:
        importlib.import_module("corl_train.trainer")


def preload(folder: Path) -> None:
    """Starts this script again with what kills at a write, which it compiles.

    Raises:
        SystemExit: there is no compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        sys.exit("crash_points.py needs Linux and a C compiler on PATH (cc)")
    library = folder / "kill_at_write.so"
    source = Path(__file__).with_name("kill_at_write.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    variables = {"LD_PRELOAD": str(library), FOLDER: str(folder), "OMP_NUM_THREADS": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | variables)


@contextmanager
def served_pool(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The simulated pool over HTTP: its file, and the server's log."""
    pool, log = folder / "pool.toml", folder / "server.jsonl"
    log.touch()
    server = subprocess.Popen(
        [*COMMAND, "pool", "serve", "sim", "--port", "0", "--latency", LATENCY, "--task", "synth"]
        + ["--pool-out", str(pool), "--log", str(log)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        server.stdout.readline()
        while not pool.exists():
            time.sleep(0.01)
        yield pool, log
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


def crash(folder: Path, kills: int, kinds: Sequence[str], seed: int) -> int:
    """Kills everything, and prints what came of it; the exit code."""
    library = ctypes.CDLL(str(folder / "kill_at_write.so"))
    library.kill_at_change.argtypes = [ctypes.c_char_p, ctypes.c_long]
    library.changes_so_far.restype = ctypes.c_long
    import_all(kinds)
    whole = sum(SHARES[kind] for kind in kinds)
    with served_pool(folder) as (pool, log):
        bench = Bench(folder, library, pool, Log(log), random.Random(seed))
        for place, kind in enumerate(kinds):
            # Shares that add up to the kills asked for.
            before, after = (sum(SHARES[k] for k in kinds[:n]) for n in (place, place + 1))
            share = kills * after // whole - kills * before // whole
            began_s = time.monotonic()
            with noting(bench, kind):
                if kind in ("run", "record", "live"):
                    kill_runs(bench, kind, share)
                else:
                    OTHERS[kind](bench, share)
            print(
                f"{kind}: {bench.kills[kind]} kills, {time.monotonic() - began_s:.0f} s", flush=True
            )
    print(
        f"{bench.kills.total()} kills; left behind by them: "
        + ", ".join(f"{n} {what}" for what, n in bench.cut_short.items())
    )
    for fault in bench.faults[:20]:
        print(f"FAULT {fault}")
    print("all of it holds" if not bench.faults else f"{len(bench.faults)} FAULTS")
    return 1 if bench.faults else 0


@contextmanager
def noting(bench: Bench, kind: str) -> Iterator[None]:
    """A file that cannot be read is a finding, and the end of this command's kills."""
    try:
        yield
    except (ConfigError, AssertionError, OSError, ValueError, sqlite3.Error) as error:
        bench.faults.append(f"{kind}: {type(error).__name__}: {error}")


OTHERS: dict[str, Callable[[Bench, int], None]] = {
    "regrade": kill_regrades,
    "grade": kill_grades,
    "import": kill_imports,
    "train": kill_trainings,
    "serve": kill_servers,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill everything that writes, at random points.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", default=",".join(SHARES), help="Commands; %(default)s.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="A folder for all files; else they are removed.")
    asked = parser.parse_args()
    kinds = asked.only.split(",")
    if unknown := set(kinds) - set(SHARES):
        parser.error(f"no such command: {', '.join(sorted(unknown))}")
    if "train" in kinds and importlib.util.find_spec("torch") is None:
        print("without training: torch is not installed")
        kinds.remove("train")
    if FOLDER not in os.environ:
        if asked.keep is not None:
            asked.keep.mkdir(parents=True)
        preload(Path(tempfile.mkdtemp()) if asked.keep is None else asked.keep.resolve())
    folder = Path(os.environ[FOLDER])
    del os.environ["LD_PRELOAD"]  # not for the children of children
    try:
        return crash(folder, asked.kills, kinds, asked.seed)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
