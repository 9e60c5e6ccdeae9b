"""Finds the task files: in the installed package first, then in the checkout.

The wheel carries `tasks/` as `corl_bench/_tasks/`; an editable install has no such folder and
reads the checkout's own.

    >>> "gsm8k" in task_files()
    True
"""

from __future__ import annotations

from pathlib import Path

from corl_bench.errors import ConfigError

_HERE = Path(__file__).resolve()
CANDIDATES = (_HERE.parents[1] / "_tasks", _HERE.parents[3] / "tasks")


def task_files(candidates: tuple[Path, ...] = CANDIDATES) -> dict[str, Path]:
    """Every built-in task's `task.toml` by name, in alphabetical order.

    Raises:
        ConfigError: no candidate folder holds a task; the installation is broken.
    """
    for folder in candidates:
        files = {path.parent.name: path for path in sorted(folder.glob("*/task.toml"))}
        if files:
            return files
    looked_in = " or ".join(str(folder) for folder in candidates)
    raise ConfigError(f"no task.toml in {looked_in}: reinstall corl-bench")
