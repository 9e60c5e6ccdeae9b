"""A job from its recipe to its end, over all the times that it was begun again.

The job's directory holds all that it is: what it was asked for, its rows, checkpoints, logs, and
the experts' books. The same `corl-train launch` on it follows an attempt that is under way, and
goes on with a job that has crashed or was stopped: OpenRLHF loads its last checkpoint, rollouts
meet the replies that are stored, and the cap holds over all attempts.

    with open_job(recipe, folder, seed=0) as job:
        job.submit(server, say=print)
        ending = job.follow(server, steps=313, experts=experts, say=print)
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

from corl_bench.errors import CapReachedError, ConfigError, StorageError
from corl_bench.files import LineFile, read_lines, write_json, write_text
from corl_bench.runs.directory import lock_directory
from corl_bench.shapes import find_fault
from corl_train.openrlhf.command import (
    CHECKPOINTS,
    ENTRY,
    RUNTIME_ENV_NAME,
    openrlhf_arguments,
    runtime_env,
    submit_command,
)
from corl_train.openrlhf.experts_server import ExpertsServer, Terms
from corl_train.openrlhf.jobs import UNKNOWN, JobServer, State
from corl_train.openrlhf.progress import Step, describe_step, read_step
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.recovery import mend_checkpoints

STATE_NAME = "launch.json"
LOGS = "logs"
STEPS_NAME = "steps.jsonl"
_POLL_S = 2.0
_SAID = "error: "
"""With which `training` begins its last line where it knows why it ends; Ray's message has it."""
_CAP_CODE = CapReachedError.exit_code

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
    """Submissions in their order: `submission`, `address`, and once it is over `status`,
    `exit_code`, `reason`, `message`."""
    terms: Terms | None = None
    """Of the experts' server; None before it was first asked for, or where nobody bills."""

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
    def address(self) -> str | None:
        """Of the job server that has the last submission; None before the first."""
        return str(self.attempts[-1]["address"]) if self.attempts else None

    @property
    def is_capped(self) -> bool:
        """Whether the spending cap has ended its last attempt."""
        return bool(self.attempts) and self.attempts[-1].get("exit_code") == _CAP_CODE

    @property
    def reason(self) -> str | None:
        """Why the last attempt has failed, where its driver knew: it would fail again by that."""
        return self.attempts[-1].get("reason") if self.attempts else None

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

    def submit(self, server: JobServer, *, say: Callable[[str], None]) -> str:
        """Begins the job, or goes on with it from its last whole checkpoint.

        Args:
            server: where it will run.
            say: told from where it goes on.

        Returns:
            The submission's name.

        Raises:
            ConfigError: Ray refuses.
            StorageError: the directory cannot be written.
        """
        write_text(self.folder / RUNTIME_ENV_NAME, runtime_env(self.folder))
        for line in mend_checkpoints(self.folder / CHECKPOINTS, self.recipe.placement).told:
            say(line)
        command, name = self.command(server.address), self.next_name
        # Written first: if this process dies now, the next one asks Ray what became of it.
        self.attempts.append({"submission": name, "address": server.address, "command": command})
        self._save()
        try:
            server.submit(command)
        except ConfigError:
            # An answer that was lost on its way is no refusal.
            if server.state(name).status == UNKNOWN:
                self.attempts.pop()
                self._save()
            raise
        return name

    def look(self, server: JobServer) -> State | None:
        """How the last attempt is doing; None where its end is known.

        Raises:
            ConfigError: it cannot be asked, or it is under way on another cluster.
        """
        name = self.current
        if name is None:
            return None
        state, own = server.state(name), self.address
        if state.status == UNKNOWN and own is not None and own != server.address:
            try:
                elsewhere = JobServer(own).state(name)
            except ConfigError:
                return state  # that cluster is no more
            if not elsewhere.is_over:
                raise ConfigError(
                    f"{name} is {elsewhere.status} at {own}, and not at {server.address}: follow"
                    f" it with --address {own}, or end it with --stop"
                )
        return state

    def settle(self, state: State) -> None:
        """Notes how the last attempt has ended."""
        self.attempts[-1] |= {
            "status": state.status,
            "exit_code": state.exit_code,
            "reason": _reason(state),
            "message": state.message,
        }
        self._save()

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
            experts: who says what was spent; None where nobody bills.
            say: told a line a step.
            is_new: whether the attempt has just begun; its steps are then told even where an
                attempt before it has made them, too.

        Returns:
            How it has ended. The cap ends it by itself, before it would learn from a batch that
            was cut short: from here it could be ended only in the middle of a checkpoint, for a
            step is told before it is saved.

        Raises:
            ConfigError: Ray cannot be reached.
        """
        name = self.current
        if name is None:
            raise ValueError("no attempt is under way")
        log = self.folder / LOGS / f"attempt-{len(self.attempts)}.log"
        log.parent.mkdir(exist_ok=True)
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
                state = server.state(name)
                if state.is_over:
                    break
                time.sleep(_POLL_S)
        self.settle(state)
        if state.status == "SUCCEEDED":
            return "finished"
        if why := self.reason or " ".join(state.message.split())[-500:]:
            say(f"{name}: {why}")
        if self.is_capped:
            return "cap"
        return "stopped" if state.status == "STOPPED" else "failed"

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
                "experts": None if self.terms is None else self.terms.to_json(),
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
            job.attempts, job.terms = _kept(path, recipe, seed)
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


def under_way(folder: Path) -> tuple[str, str] | None:
    """The submission that may be under way, and the address of its job server.

    It compares nothing with the job of a recipe: for whoever only wants to end it.

    Raises:
        ConfigError: the directory holds no job.
    """
    path = folder / STATE_NAME
    try:
        attempts = json.loads(path.read_bytes())["attempts"]
        last = attempts[-1] if attempts else {"status": "NONE"}
        if last.get("status") is not None:
            return None
        return str(last["submission"]), str(last["address"])
    except FileNotFoundError:
        raise ConfigError(f"{folder} holds no job: name the --out of its launch") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: not what `corl-train launch` writes ({error})") from None


def read_steps(path: Path) -> list[Step]:
    """The steps that were told, each once, in order.

    Raises:
        StorageError: the file is broken.
    """
    steps = {}
    for place, row in enumerate(read_lines(path), 1):
        if fault := find_fault(row, {"step": int}) or find_fault(row, {str: float}):
            raise StorageError(f"{path}:{place}: no step: {fault}; take the line out")
        number = row.pop("step")
        steps[number] = Step(number, row)
    return [steps[number] for number in sorted(steps)]


def _kept(path: Path, recipe: JobRecipe, seed: int) -> tuple[list[dict[str, Any]], Terms | None]:
    """Attempts and terms of the job that a directory holds, if it is ours."""
    try:
        kept = json.loads(path.read_bytes())
        before, attempts = {k: kept[k] for k in ("recipe", "seed")}, list(kept["attempts"])
        terms = None if kept.get("experts") is None else Terms.from_json(kept["experts"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise ConfigError(f"{path}: not what `corl-train launch` writes ({error})") from None
    if not attempts:
        return [], None  # it can become another job
    if before != {"recipe": recipe.model_dump(mode="json"), "seed": seed}:
        raise ConfigError(
            f"{path.parent} holds a job with other settings: name another directory with --out,"
            " or repeat its own command"
        )
    return attempts, terms


def _reason(state: State) -> str | None:
    """What the driver said in the end, if it was one of ours that said it."""
    said = [line for line in state.message.splitlines() if line.startswith(_SAID)]
    return said[-1].removeprefix(_SAID) if said else None


def _spent(experts: ExpertsServer | None) -> str:
    if experts is None:
        return ""
    try:
        stats = experts.stats()
    except ConfigError as error:
        return f"  ({error})"
    return f"  experts ${stats['spent_usd']} of ${stats['cap_usd']}"
