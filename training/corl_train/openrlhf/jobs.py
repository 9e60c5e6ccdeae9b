"""Ray's job server: submit, ask, follow, stop.

Jobs are submitted and followed by Ray's own command line, which is the exact command that a dry
run shows; states are asked of its HTTP interface, which takes milliseconds where the command
takes seconds.

    server = JobServer("http://127.0.0.1:8265")
    server.submit(command)
    server.state("corl-paper-1").status        # "RUNNING"
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from corl_bench.environments import without_keys_in
from corl_bench.errors import ConfigError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
UNKNOWN = "UNKNOWN"
"""Of a submission that the server has not, because its cluster was started anew."""
STOP_S = 120.0
"""How long a submission may take to end that was asked to."""
_POLL_S = 0.5
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class State:
    """Of one submission."""

    status: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, STOPPED, or `UNKNOWN`."""
    message: str = ""
    """Ray's; where the driver has failed, with the last lines that it has printed."""
    exit_code: int | None = None
    """Of the driver, where it has ended by itself."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status in ENDED or self.status == UNKNOWN


class JobServer:
    """The job server of one cluster.

    Args:
        address: of its dashboard, `http://HEAD:8265`.

    Raises:
        ConfigError: it is no address over HTTP.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise ConfigError(
                f"--address {address!r} is none of Ray's job server: write {DEFAULT_ADDRESS}"
            )
        self.address = address.rstrip("/")

    def require(self) -> str:
        """The version of Ray.

        Raises:
            ConfigError: nobody is there.
        """
        answer = self._ask("GET", "/api/version")
        return str(answer.get("ray_version", ""))

    def submit(self, command: Sequence[str]) -> None:
        """Runs a `ray job submit --no-wait`.

        Raises:
            ConfigError: there is no `ray` here, or it refuses.
        """
        told = subprocess.run(
            [_ray(), *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            env=_for_ray(),
        )
        if told.returncode:
            lines = (told.stderr or told.stdout).strip().splitlines() or ["it says nothing"]
            raise ConfigError(f"`ray job submit` refused the job: {lines[-1].strip()}")

    def state(self, submission: str) -> State:
        """Where a submission is.

        Raises:
            ConfigError: the server cannot be reached.
        """
        try:
            answer = self._ask("GET", f"/api/jobs/{submission}")
        except _MissingError:
            return State(UNKNOWN)
        code = answer.get("driver_exit_code")
        return State(
            str(answer.get("status", UNKNOWN)),
            str(answer.get("message") or ""),
            None if code is None else int(code),
        )

    def end(self, submission: str, *, within_s: float = STOP_S) -> None:
        """Ends a submission, and waits until it has ended.

        Raises:
            ConfigError: the server cannot be reached, or the submission does not end in time.
        """
        self.stop(submission)
        self.wait(submission, within_s=within_s)

    def wait(self, submission: str, *, within_s: float) -> State:
        """How a submission ends.

        Raises:
            ConfigError: the server cannot be reached, or the submission does not end in time.
        """
        deadline_s = time.monotonic() + within_s
        while not (state := self.state(submission)).is_over:
            if time.monotonic() > deadline_s:
                raise ConfigError(
                    f"{submission} is {state.status} after {within_s:.0f} seconds: `ray status` and"
                    f" `ray job logs --address {self.address} {submission}` may say why"
                )
            time.sleep(_POLL_S)
        return state

    def stop(self, submission: str) -> None:
        """Asks a submission to end.

        Raises:
            ConfigError: the server cannot be reached.
        """
        try:
            self._ask("POST", f"/api/jobs/{submission}/stop")
        except _MissingError:
            return

    @contextmanager
    def following(self, submission: str) -> Iterator[IO[str]]:
        """The lines that a submission prints, from its first on and until it ends.

        Raises:
            ConfigError: there is no `ray` here.
        """
        process = subprocess.Popen(
            [_ray(), "job", "logs", "--address", self.address, "--follow", submission],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**_for_ray(), "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.address}{path}", method=method)
        if token := os.environ.get("RAY_AUTH_TOKEN"):
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                told = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise _MissingError from None
            raise ConfigError(f"Ray at {self.address} answers {error.code} to {path}") from None
        except (OSError, ValueError) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split())
            raise ConfigError(
                f"no Ray job server at {self.address} ({reason}): `ray start --head` there, or"
                " name another with --address"
            ) from None
        return told if isinstance(told, dict) else {}


class _MissingError(Exception):
    """The server knows no such submission."""


def _ray() -> str:
    found = shutil.which("ray")
    if found is None:
        raise ConfigError("there is no `ray` on PATH: pip install 'ray[default]' here, too")
    return found


def _for_ray() -> dict[str, str]:
    """The environment of Ray's own commands: of all secrets they need Ray's token alone."""
    ray = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    return {**without_keys_in(os.environ), **ray}
