"""Transfer: subjects that a controller was not trained on, and questions that are no mathematics.

The controller plays the test split of its recipe and, at the same budgets, a set of questions of
another kind. Problems are judged subject by subject; which subjects it was trained on the recipe
says (`data.subjects`, `data.without_subjects`). A subject that was held out may come to less
because the controller does not know it, or because it is harder: both stand beside the optimum of
the very same problems, which knows subjects and levels.

    study = run(Path("runs/quickstart"), Options(samples=4))
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from corl_bench.types import Problem
from corl_train.config import Config, DataTable, parse_config
from corl_train.coverage import UncoveredError
from corl_train.runs.files import CONFIG_NAME, read_config, recipe_of
from corl_train.studies.measuring import Measured, measure, open_for
from corl_train.studies.study import Options, Part, Study

TAKES = frozenset({"tasks"})
QUESTION = "What does it earn where it was not trained?"
OTHER_KIND = "everyday"
"""Questions with five choices each, of our own; see `corl_bench.tasks.everyday`."""
ALL = "all of them"


def run(folder: Path, options: Options) -> Study:
    """Plays the recipe's test split, and the other sets, by subject.

    Args:
        folder: of a training run.
        options: `tasks` are other sets than `everyday`.

    Raises:
        ConfigError: the folder holds no finished controller, or names something that is gone; or
            recordings lack a set.
        CapReachedError: the spending cap leaves no room.
        StorageError: a book of what is billed cannot be written.
    """
    config = parse_config(recipe_of(read_config(folder)), str(folder / CONFIG_NAME))
    parts = []
    others = options.tasks or (OTHER_KIND,)
    for name in (config.data.test, *others):
        try:
            with open_for(folder, options, task=name) as (environment, budgets):
                problems = environment.task.problems
                label = environment.task.label
                episodes = len(problems) * len(budgets) * options.samples
                options.say(f"{label}: {episodes:,} episodes")
                measured = measure(environment, budgets, samples=options.samples)
                if name == config.data.test:
                    parts += _by_training(config.data, measured, label)
                else:
                    parts.append(_part(f"Another kind of question: {label}", measured, problems))
                pool = environment.pool
        except UncoveredError as error:
            # Whoever names a set wants it; of our own nothing may ever have been recorded.
            if name != OTHER_KIND or options.tasks:
                raise
            options.note(f"{name} is left out: {error}")
    return Study(
        name="transfer",
        question=QUESTION,
        run=folder.resolve().name,
        recipe=config.name,
        pool=pool.name,
        simulated=pool.simulated,
        seed=options.seed,
        samples=options.samples,
        parts=tuple(parts),
        notes=tuple(_notes(config, parts)),
    )


def _by_training(data: DataTable, measured: Measured, label: str) -> list[Part]:
    """The problems of subjects that it was trained on, and those of the others."""
    problems = measured.environment.task.problems
    known = [problem for problem in problems if data.has_subject(problem.subject)]
    unknown = [problem for problem in problems if not data.has_subject(problem.subject)]
    return [
        _part(f"{title}, {label}", measured, some)
        for title, some in (
            ("Subjects that it was trained on", known),
            ("Subjects that it was not trained on", unknown),
        )
        if some
    ]


def _part(title: str, measured: Measured, problems: Sequence[Problem]) -> Part:
    """All the problems, then each subject, at every budget."""
    rows = list(measured.rows(ALL, problems))
    subjects = dict.fromkeys(problem.subject for problem in problems if problem.subject)
    for subject in subjects:
        rows += measured.rows(subject, [p for p in problems if p.subject == subject])
    return Part(title, "", tuple(rows))


def _notes(config: Config, parts: Collection[Part]) -> list[str]:
    notes = []
    if not (config.data.subjects or config.data.without_subjects):
        notes.append(
            "This run was trained on every subject of its training split: data.without_subjects"
            " holds some out."
        )
    if any(row.fraction is None for part in parts for row in part.rows):
        notes.append("Nobody knows the optimum of this pool: rewards stand alone.")
    else:
        notes.append(
            "Shares are of the optimum of the very same problems, which is told each problem's"
            " subject and level; a share may lie above 1 by luck."
        )
    return notes
