"""The folder that commands are killed in, as forks of this process."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bookkeeping import Log

from corl_bench.cli.main import main as corl_bench
from corl_train.cli.main import main as corl_train

PER_FOLDER = 8
"""A folder's commands are killed so many times before one may end."""
MOST_IDLE = 20
"""A command that fails by itself, or changes no file, is never killed."""
PROGRAMS = {"corl-bench": corl_bench, "corl-train": corl_train}


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


@dataclass
class Chain:
    """What is killed in one folder, again and again."""

    command: list[str]
    under: Path
    look: Callable[[], object]
    end: Callable[[], None]


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
    number = idle = 0
    while bench.kills[kind] < kills:
        before = bench.kills[kind]
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
        idle = 0 if bench.kills[kind] > before else idle + 1
        if idle == MOST_IDLE:
            bench.faults.append(f"{kind}: {idle} commands in a row came to no kill")
            return
