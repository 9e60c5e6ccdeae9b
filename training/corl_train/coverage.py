"""How much of a task recordings can answer, told before anything is trained on it.

require_covered(pool, (setup.train, setup.validation), experts, say=print)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool, Request
from corl_bench.experts.store import RecordingStore
from corl_bench.tasks import LoadedTask, render_prompt
from corl_bench.types import Message
from corl_train.experts import Experts


class UncoveredError(ConfigError):
    """Recordings have of a task no problem that those who are needed have answered."""


def require_covered(
    pool: Pool,
    tasks: Sequence[LoadedTask],
    experts: Experts,
    *,
    say: Callable[[str], None],
    by: Callable[[Iterable[bool]], bool] = all,
) -> None:
    """Says of which problems replies are missing; only experts that nobody else answers for count.

    Args:
        pool: who is asked.
        tasks: what they are asked, as a controller asks that passes a problem on as it is.
        experts: where replies come from.
        say: told of gaps.
        by: `all` or `any` of the experts have to have answered a problem of each task: a trained
            controller may never call who has not.

    Raises:
        UncoveredError: there is no such problem.
    """
    bound = experts.bound_to_recordings(pool)
    if experts.recordings is None or not bound:
        return
    with RecordingStore.open(experts.recordings, create=False, read_only=True) as store:
        # Splits of one name may hold different problems: one of them was decontaminated.
        different = {
            (task.label, *(problem.id for problem in task.problems)): task for task in tasks
        }
        for task in different.values():
            by_expert = {
                expert.name: [
                    bool(store.draws(_plainly(expert, task, problem.text)))
                    for problem in task.problems
                ]
                for expert in bound
            }
            answered = sum(map(all, zip(*by_expert.values(), strict=True)))
            fewest, who = min((sum(own), name) for name, own in by_expert.items())
            names = ", ".join(expert.name for expert in bound)
            if not any(map(by, zip(*by_expert.values(), strict=True))):
                raise UncoveredError(
                    f"{experts.recordings} has no problem of {task.label} that {by.__name__} of"
                    f" {names} have answered ({who}: {fewest:,}): record or import some, or name"
                    " others in the recipe's data"
                )
            if answered < len(task.problems):
                say(
                    f"{experts.recordings}: all of {names} have answered {answered:,} of"
                    f" {len(task.problems):,} problems of {task.label}, {who} {fewest:,}; other"
                    " calls will fail"
                )


def _plainly(expert: ExpertSpec, task: LoadedTask, text: str) -> Request:
    message = Message("user", render_prompt(task.spec, text))
    return Request(expert, (message,), expert.sampling, text)
