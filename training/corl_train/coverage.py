"""How much of a task recordings can answer, told before anything is trained on it.

require_covered(pool, (setup.train, setup.validation), experts, say=print)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool, Request
from corl_bench.experts.store import RecordingStore
from corl_bench.tasks import LoadedTask, render_prompt
from corl_bench.types import Message
from corl_train.experts import Experts


def require_covered(
    pool: Pool, tasks: Sequence[LoadedTask], experts: Experts, *, say: Callable[[str], None]
) -> None:
    """Says of which problems replies are missing; only experts that nobody else answers for count.

    Args:
        pool: who is asked.
        tasks: what they are asked, as a controller asks that passes a problem on as it is.
        experts: where replies come from.
        say: told of gaps.

    Raises:
        ConfigError: not one problem of a task is answered.
    """
    bound = experts.bound_to_recordings(pool)
    if experts.recordings is None or not bound:
        return
    with RecordingStore.open(experts.recordings, create=False, read_only=True) as store:
        for task in tasks:
            answered = sum(
                all(store.draws(_plainly(expert, task, problem.text)) for expert in bound)
                for problem in task.problems
            )
            names = ", ".join(expert.name for expert in bound)
            if not answered:
                raise ConfigError(
                    f"{experts.recordings} has no problem of {task.label} that {names} all have"
                    " answered: record or import some, or name others in the recipe's data"
                )
            if answered < len(task.problems):
                say(
                    f"{experts.recordings}: {names} have answered {answered:,} of"
                    f" {len(task.problems):,} problems of {task.label}; other calls will fail"
                )


def _plainly(expert: ExpertSpec, task: LoadedTask, text: str) -> Request:
    message = Message("user", render_prompt(task.spec, text))
    return Request(expert, (message,), expert.sampling, text)
