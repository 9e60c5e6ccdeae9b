"""Where lm-eval finds its tasks: in our folder, in the user's, and in its own where it must.

lm-eval's option `--include_path` takes one folder, and listing its own fourteen thousand tasks
takes up to half a minute. Invariant: our tasks are there whatever else is included; a task of
the user's with the name of ours, or of lm-eval's, is the user's.

    lm_eval.tasks.TaskManager = partial(open_tasks, named=["corl_synth", "my_quiz"])
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from lm_eval.tasks.manager import TaskManager

from corl_bench.tasks.locate import task_files


def open_tasks(
    *, named: Collection[str], include_path: str | Path | None = None, **more: Any
) -> TaskManager:
    """A task manager of lm-eval's, as its command line makes one, that knows our tasks too.

    Args:
        named: the tasks that are wanted; where all of them are ours or the user's, lm-eval's own
            are not listed. Empty: nobody knows which.
        include_path: the user's folder.
        **more: of lm-eval's `TaskManager`.
    """
    folders = [next(iter(task_files().values())).parents[1]]
    if include_path is not None and Path(include_path).resolve() != folders[0].resolve():
        folders.append(Path(include_path))
    without_theirs = TaskManager(include_path=folders, include_defaults=False, **more)
    if named and set(named) <= set(without_theirs.all_subtasks):
        return without_theirs
    return TaskManager(include_path=folders, **more)
