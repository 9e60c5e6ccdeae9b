"""Studies: what a trained controller does where it was not trained, each a command and a report.

A study is a module of this package with a function

    def run(folder: Path, options: Options) -> Study

that opens the training run in `folder`, lets its controller play without training it any further,
and returns what came of it, and a set `TAKES` of the options that not every study has a use for;
`table` and `page` show any study. To add one, write the module and name it here.

    study = run_study("transfer", Path("runs/quickstart"), Options())
    print(describe(study))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from corl_bench.errors import ConfigError

if TYPE_CHECKING:
    from corl_train.studies.study import Options, Study

STUDIES: Mapping[str, str] = {
    "budget-sweep": "Dollars that it was never trained on.",
    "pool-shift": "Experts added, removed, renamed, re-priced.",
    "transfer": "Subjects that it was not trained on, and questions that are no mathematics.",
}
"""By name, with what each asks; `a-b` is the module `a_b`."""
_FLAGS = {"tasks": "--task", "budgets": "--budget", "only": "--only", "pools": "--pool"}


def run_study(name: str, folder: Path, options: Options) -> Study:
    """Makes a study of a training run.

    Raises:
        ConfigError: there is no such study, it has no use for an option, or the run does not fit
            it.
        CapReachedError: the spending cap leaves no room.
        StorageError: a book of what is billed cannot be written.
    """
    if name not in STUDIES:
        raise ConfigError(f"no study {name!r}: there are {', '.join(STUDIES)}")
    module = import_module(f"corl_train.studies.{name.replace('-', '_')}")
    for option, flag in _FLAGS.items():
        if getattr(options, option) and option not in module.TAKES:
            raise ConfigError(f"the study {name} has no use for {flag}: leave it out")
    notes: list[str] = []

    def note(line: str) -> None:
        if line not in notes:
            notes.append(line)
            options.say(line)

    study: Study = module.run(folder, replace(options, note=note))
    return replace(study, notes=(*study.notes, *notes))
