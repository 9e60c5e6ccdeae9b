"""The few processes that hold sympy: started when first needed, killed when they overrun.

Any thread may call `settle`; each call owns one worker while it waits, and at most
`MAX_WORKERS` run, so a crowd of callers queues here instead of filling the machine. A worker
that used up its CPU allowance has decided nothing (`timeout`, the same on every machine). One
that died of anything else is replaced and the job asked again: a worker that had waited idle
proves nothing by its death, and only `MAX_TRIES` deaths of workers started for this very job
make a `timeout`. Workers are plain subprocesses behind pipes: they share no lock, loop or memory
with the caller, a fork starts with none, and they end with their input.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from corl_bench.environments import for_computing
from corl_bench.grading.expression import Expression

Settlement = Literal["equal", "unequal", "unknown", "timeout"]

MAX_WORKERS: Final = max(1, min(4, os.cpu_count() or 1))
CPU_LIMIT_S: Final = 1.5
"""CPU seconds of one comparison; importing sympy comes before and does not count."""
WALL_LIMIT_S: Final = 20.0
"""Wall seconds after which a comparison that uses no CPU is given up."""
MEMORY_LIMIT_BYTES: Final = 512 * 1024 * 1024
JOBS_PER_WORKER: Final = 300
"""A worker is replaced after so many jobs, so that sympy's caches do not grow for ever."""
MAX_TRIES: Final = 5
"""So many workers may be started for one job, and die, before it is given up."""

_ANSWERS: Final[dict[str, Settlement]] = {
    "equal": "equal",
    "unequal": "unequal",
    "unknown": "unknown",
}


class WouldWait(Exception):
    """A worker is needed where nobody may wait for one, see `refused`."""


class WorkerDied(Exception):
    """The worker ended without an answer; `overran` if it was its own CPU limit."""

    def __init__(self, overran: bool) -> None:
        super().__init__("a grading worker died")
        self.overran = overran


class Worker:
    """One subprocess and the pipes to it; used by one thread at a time."""

    def __init__(self) -> None:
        environment = for_computing(os.environ)
        # The same modules as the caller's, wherever they came from; a fixed hash seed, so
        # that sympy orders its terms alike in every process.
        environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        environment["PYTHONHASHSEED"] = "0"
        limits = [str(CPU_LIMIT_S), str(WALL_LIMIT_S), str(MEMORY_LIMIT_BYTES)]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "corl_bench.grading.worker", *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.jobs = 0

    def ask(self, line: bytes) -> str:
        """Sends one job and waits for its answer.

        Raises:
            WorkerDied: the process ended, or gave no answer within the wall limit.
        """
        self.jobs += 1
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except OSError as error:
            raise self._death() from error
        return self._read_line()

    def _read_line(self) -> str:
        assert self.process.stdout is not None
        handle = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(handle, select.POLLIN | select.POLLHUP)
        deadline = time.monotonic() + 2 * WALL_LIMIT_S
        answer = b""
        while not answer.endswith(b"\n"):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                raise self._death()
            chunk = os.read(handle, 4096)
            if not chunk:
                raise self._death()
            answer += chunk
        return answer.decode("ascii").strip()

    def _death(self) -> WorkerDied:
        try:
            self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.close()
        return WorkerDied(self.process.returncode in (-signal.SIGPROF, -signal.SIGALRM))

    def close(self) -> None:
        """Ends the process and waits for it."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # the unsent rest of a job, to a process that is gone
        self.process.kill()
        self.process.wait()


class Pool:
    """The workers that run, those of them that wait for a job, and room for a few more."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(MAX_WORKERS)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._running: list[Worker] = []

    def settle(self, line: bytes) -> Settlement:
        """Has one job answered, by as many workers as it takes within `MAX_TRIES`."""
        with self._slots:
            worker = self._take_idle()
            tries = 0
            while worker is not None or tries < MAX_TRIES:
                if worker is None:
                    tries += 1
                    try:
                        worker = self._start()
                    except OSError:
                        continue  # no process could be started
                try:
                    answer = worker.ask(line)
                except WorkerDied as death:
                    self._forget(worker)
                    if death.overran:
                        return "timeout"
                    worker = None  # from here on new ones: what killed this one killed others
                    continue
                except BaseException:
                    self._forget(worker)  # interrupted half-way: its next answer is this job's
                    raise
                self._give_back(worker)
                return _ANSWERS.get(answer, "timeout")
            return "timeout"

    def _take_idle(self) -> Worker | None:
        """A worker that waits and lives; dead ones are dropped on the way."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                worker = self._idle.pop()
            if worker.process.poll() is None:
                return worker
            self._forget(worker)

    def _start(self) -> Worker:
        worker = Worker()
        with self._lock:
            self._running.append(worker)
        return worker

    def _forget(self, worker: Worker) -> None:
        with self._lock:
            if worker in self._running:
                self._running.remove(worker)
        worker.close()

    def _give_back(self, worker: Worker) -> None:
        if worker.jobs >= JOBS_PER_WORKER:
            self._forget(worker)
            return
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        """Kills all workers, busy ones too; whoever waits for one is served by a new one."""
        with self._lock:
            running, self._running, self._idle = self._running, [], []
        for worker in running:
            worker.process.kill()
            worker.process.wait()

    def process_ids(self) -> list[int]:
        """The workers that run now."""
        with self._lock:
            return [worker.process.pid for worker in self._running]


_pool = Pool()


_here = threading.local()


@contextmanager
def refused() -> Iterator[None]:
    """Within it, `settle` raises WouldWait in this thread."""
    _here.refused = True
    try:
        yield
    finally:
        _here.refused = False


def settle(left: Expression, right: Expression) -> Settlement:
    """Compares two expressions in a worker; see `symbolic.settle`. Callable from any thread.

    Raises:
        WouldWait: this thread has `refused` workers.
    """
    if getattr(_here, "refused", False):
        raise WouldWait
    return _pool.settle(json.dumps([left, right]).encode("ascii") + b"\n")


def process_ids() -> list[int]:
    """Process ids of the workers that run now, busy or idle."""
    return _pool.process_ids()


def close() -> None:
    """Ends all workers; the next comparison that needs one starts it again."""
    _pool.close()


def _start_afresh() -> None:
    """In a forked child: the parent's workers and locks are not ours to use or to end."""
    global _pool
    _pool = Pool()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)
