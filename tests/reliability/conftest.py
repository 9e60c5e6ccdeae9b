"""A disk that fills up or takes no more writing, and commands in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from corl_bench.cli.main import main


@dataclass(frozen=True)
class Disk:
    """A file system of its own, in memory."""

    path: Path

    def remount(self, options: str) -> None:
        """With another size (`size=8m`) or for reading alone (`ro`)."""
        command = ["mount", "-o", f"remount,{options}", str(self.path)]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty disk of 8 MiB; skipped where none can be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a disk that can be full")
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def corl(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """A command in this process: its exit code, and what it says on standard error."""

    def call(*arguments: str | Path, program: Any = main) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            program([str(word) for word in arguments])
        return int(left.value.code or 0), capsys.readouterr().err

    return call
