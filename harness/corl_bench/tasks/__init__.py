"""Tasks: named sets of problems with gold answers, pinned by digest.

    >>> from corl_bench.tasks import list_tasks
    >>> [spec.name for spec in list_tasks()][:2]
    ['aime24', 'aime25']

`load_task` gives the problems of a built-in task, of a `task.toml` or of any JSONL file.
Importing this module is cheap: pydantic, `datasets` and the generator of `synth` come in when
they are needed.
"""

from corl_bench.tasks.digest import rows_digest
from corl_bench.tasks.loading import LoadedTask, label_of, list_tasks, load_task
from corl_bench.tasks.spec import TaskSpec, render_prompt

__all__ = [
    "LoadedTask",
    "TaskSpec",
    "label_of",
    "list_tasks",
    "load_task",
    "render_prompt",
    "rows_digest",
]
