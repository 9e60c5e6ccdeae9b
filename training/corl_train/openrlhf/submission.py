"""A job from its recipe to its end, over all the times that it was begun again.

The job's directory holds all that it is: what it was asked for, its rows, checkpoints, logs, and
the experts' books. The same `corl-train launch` on it follows an attempt that is under way, and
goes on with a job that has crashed or was stopped: OpenRLHF loads its last checkpoint, rollouts
meet the replies that are stored, and the cap holds over all attempts.

    job = open_job(recipe, folder, seed=0)
    job.submit(server)
    ending = job.follow(server, say=print)
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import LineFile, read_lines, write_json, write_text
from corl_bench.runs.directory import lock_directory
from corl_train.openrlhf.command import (
    CHECKPOINTS,
    ENTRY,
    RUNTIME_ENV_NAME,
    openrlhf_arguments,
    runtime_env,
    submit_command,
)
from corl_train.openrlhf.experts_server import ExpertsServer
from corl_train.openrlhf.jobs import JobServer
from corl_train.openrlhf.progress import Step, describe_step, read_step
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.recovery import mend_checkpoints

STATE_NAME = "launch.json"
LOGS = "logs"
STEPS_NAME = "steps.jsonl"
_POLL_S = 2.0

Ending = Literal["finished", "failed", "stopped", "cap"]


@dataclass(slots=True)
class SubmittedJob:
    """The job of a directory."""

    recipe: JobRecipe
    folder: Path
    seed: int
    entry: str = ENTRY
    python: str = "python"
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """Submissions in their order: `submission`, `address`, and `status` once it is over."""

    @property
    def current(self) -> str | None:
        """The submission that may be under way."""
        if self.attempts and self.attempts[-1].get("status") is None:
            return str(self.attempts[-1]["submission"])
        return None

    @property
    def is_finished(self) -> bool:
        """Whether its last step was made."""
        return bool(self.attempts) and self.attempts[-1].get("status") == "SUCCEEDED"

    @property
    def next_name(self) -> str:
        """Of the attempt after the last. Names are known to a whole cluster for its lifetime."""
        place = hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        return f"{self.folder.name}-{place}-{len(self.attempts) + 1}"

    def command(self, address: str) -> list[str]:
        """The `ray job submit` of the next attempt."""
        arguments = openrlhf_arguments(self.recipe, self.folder, seed=self.seed)
        return submit_command(
            arguments,
            self.folder,
            address=address,
            submission=self.next_name,
            python=self.python,
            entry=self.entry,
        )

    def submit(self, server: JobServer) -> str:
        """Begins the job, or goes on with it.

        Returns:
            The submission's name.

        Raises:
            ConfigError: Ray refuses.
            StorageError: the directory cannot be written.
        """
        write_text(self.folder / RUNTIME_ENV_NAME, runtime_env(self.folder))
        mend_checkpoints(self.folder / CHECKPOINTS)
        command, name = self.command(server.address), self.next_name
        # Written first: if this process dies now, the next one asks Ray what became of it.
        self.attempts.append({"submission": name, "address": server.address, "command": command})
        self._save()
        try:
            server.submit(command)
        except ConfigError:
            self.attempts.pop()
            self._save()
            raise
        return name

    def settle(self, server: JobServer) -> str | None:
        """Notes how the last attempt has ended, if it has.

        Returns:
            The submission that is still under way.
        """
        name = self.current
        if name is None:
            return None
        state = server.state(name)
        if not state.is_over:
            return name
        self.attempts[-1] |= {"status": state.status, "message": state.message}
        self._save()
        return None

    def follow(
        self,
        server: JobServer,
        *,
        steps: int,
        experts: ExpertsServer | None,
        say: Callable[[str], None],
        is_new: bool = True,
    ) -> Ending:
        """Tells how it goes, until it ends; keeps what it prints in `logs/`.

        Args:
            server: where it runs.
            steps: of the whole job.
            is_new: whether the attempt has just begun; its steps are then told even where an
                attempt before it has made them, too.
            experts: whose cap ends the job; None where nobody bills.
            say: told a line a step.

        Raises:
            ConfigError: Ray cannot be reached.
        """
        name = self.current
        if name is None:
            raise ValueError("no attempt is under way")
        logs = self.folder / LOGS
        logs.mkdir(exist_ok=True)
        log = logs / f"attempt-{len(self.attempts)}.log"
        told = 0 if is_new else self._last_step()
        with LineFile.open(self.folder / STEPS_NAME) as lines:
            while True:
                # A stream that breaks begins anew with the first line, and so does the file.
                with server.following(name) as printed, log.open("w", encoding="utf-8") as kept:
                    for line in printed:
                        kept.write(line)
                        kept.flush()
                        step = read_step(line)
                        if step is None or step.number <= told:
                            continue
                        told = step.number
                        lines.append([{"step": step.number, **step.figures}])
                        say(describe_step(step, steps) + _spent(experts))
                        if experts is not None and _is_capped(experts):
                            server.stop(name)
                            self._wait(server, name)
                            return "cap"
                state = server.state(name)
                if state.is_over:
                    break
                time.sleep(_POLL_S)
        self.settle(server)
        if state.status == "SUCCEEDED":
            return "finished"
        if experts is not None and _is_capped(experts):
            return "cap"
        if state.message:
            say(f"Ray: {state.message[-500:]}")
        return "stopped" if state.status == "STOPPED" else "failed"

    def _wait(self, server: JobServer, name: str) -> None:
        while not server.state(name).is_over:
            time.sleep(_POLL_S / 4)
        self.settle(server)

    def _last_step(self) -> int:
        path = self.folder / STEPS_NAME
        numbers = [step.number for step in read_steps(path)]
        return numbers[-1] if numbers else 0

    def _save(self) -> None:
        write_json(
            self.folder / STATE_NAME,
            {
                "recipe": self.recipe.model_dump(mode="json"),
                "seed": self.seed,
                "attempts": self.attempts,
            },
        )


@contextmanager
def open_job(
    recipe: JobRecipe, folder: Path, *, seed: int, entry: str = ENTRY, python: str = "python"
) -> Iterator[SubmittedJob]:
    """The job of a directory, which is made where it is missing, and kept for this process alone.

    Until its first attempt is submitted it can become another job: a preflight wants changes.

    Args:
        recipe: what is trained.
        folder: absolute, as all nodes see it.
        seed: of everything random.
        entry: the module that is run; ours, but in tests.
        python: the interpreter's name on the head node.

    Raises:
        ConfigError: another process is at work there, or it holds another job.
        StorageError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error
    lock = lock_directory(folder)
    try:
        job = SubmittedJob(recipe, folder, seed, entry, python)
        path = folder / STATE_NAME
        if path.exists():
            job.attempts = _attempts_of(path, recipe, seed)
        yield job
    finally:
        os.close(lock)


def is_locked(folder: Path) -> bool:
    """Whether a process works in a job's directory: follows it, that is."""
    try:
        os.close(lock_directory(folder))
    except ConfigError:
        return True
    return False


def under_way(folder: Path) -> str | None:
    """The submission that a job's directory says is under way; for whoever does not work there.

    Raises:
        ConfigError: it holds no job.
    """
    path = folder / STATE_NAME
    try:
        attempts = json.loads(path.read_bytes())["attempts"]
        last = attempts[-1] if attempts else {"status": "NONE"}
        return None if last.get("status") is not None else str(last["submission"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder} holds no job ({path.name}: {error})") from None


def read_steps(path: Path) -> list[Step]:
    """The steps that were told, each once, in order.

    Raises:
        StorageError: the file is broken.
    """
    steps = {}
    for row in read_lines(path):
        number = int(row.pop("step"))
        steps[number] = Step(number, row)
    return [steps[number] for number in sorted(steps)]


def _attempts_of(path: Path, recipe: JobRecipe, seed: int) -> list[dict[str, Any]]:
    """Of the job that a directory holds, if it is ours."""
    try:
        kept = json.loads(path.read_bytes())
        before, attempts = {k: kept[k] for k in ("recipe", "seed")}, kept["attempts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not what `corl-train launch` writes ({error})") from None
    now = {"recipe": recipe.model_dump(mode="json"), "seed": seed}
    if attempts and before != now:
        raise ConfigError(
            f"{path.parent} holds a job with other settings: name another directory with --out,"
            " or repeat its own command"
        )
    return list(attempts)


def _is_capped(experts: ExpertsServer) -> bool:
    try:
        return int(experts.stats()["refused_by_cap"]) > 0
    except ConfigError:
        return False


def _spent(experts: ExpertsServer | None) -> str:
    if experts is None:
        return ""
    try:
        stats = experts.stats()
    except ConfigError as error:
        return f"  ({error})"
    return f"  experts ${stats['spent_usd']} of ${stats['cap_usd']}"
