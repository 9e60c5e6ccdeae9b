"""What a task is: its answers, its prompt, where its rows come from and what is wrong with them.

Everything here is declared in `tasks/<name>/task.toml` (read by `corl_bench.tasks.schema`);
nothing here holds a problem. A task whose statements may not be published says so in
`redistributable`, and whoever publishes asks.

    >>> spec = TaskSpec.of_file("quiz", kind="integer")
    >>> render_prompt(spec, "What is 2 + 2?").splitlines()[0]
    'What is 2 + 2?'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from corl_bench.types import AnswerKind

PLACEHOLDER = "{problem}"

AnswerForm = Literal["plain", "hashes", "boxed"]
"""`plain`: the column is the answer; `hashes`: it follows `####` (GSM8K); `boxed`: it is the
last boxed expression of a worked solution (MATH)."""

DEFAULT_PROMPTS: Mapping[AnswerKind, str] = MappingProxyType(
    {
        "math": (
            f"{PLACEHOLDER}\n\nReason step by step, and end with the final answer alone "
            "inside \\boxed{}."
        ),
        "integer": (
            f"{PLACEHOLDER}\n\nReason step by step, and end with the final answer, one whole "
            "number without a unit, inside \\boxed{}."
        ),
        "choice": (
            f"{PLACEHOLDER}\n\nReason step by step, and end with the letter of the right choice "
            "inside \\boxed{}."
        ),
        "text": (
            f"{PLACEHOLDER}\n\nReason step by step, and end with the final answer in a few words "
            "inside \\boxed{}."
        ),
    }
)


@dataclass(frozen=True, slots=True)
class IdPattern:
    """How an upstream column is taken apart for the id: named groups of a regular expression."""

    column: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where the `datasets` library finds the rows of a split, and what their columns mean."""

    dataset: str
    """Dataset id on the Hugging Face hub, or a local folder laid out like one."""
    problem: tuple[str, ...]
    """Columns of the statement; several are joined as sentences."""
    answer: str
    configurations: tuple[str, ...] = ()
    """Read one after the other; none: the dataset's default."""
    splits: tuple[str, ...] = ("train",)
    """Upstream splits, read one after the other."""
    revision: str | None = None
    """Commit of the dataset; None: whatever is current, shown as unpinned."""
    answer_form: AnswerForm = "plain"
    id: str = "{row}"
    """Template over the columns, the groups of `id_pattern` and `{row}`, counted from 0."""
    id_pattern: IdPattern | None = None
    subject: str | None = None
    level: str | None = None
    metadata: tuple[str, ...] = ()
    same_rows: bool = True
    """False: known or feared to differ from the pinned rows, so the digest does not apply."""
    count: int | None = None
    """Rows to expect here, where that is not the split's own count."""


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a task: how many rows, which ones, from where."""

    count: int | None = None
    digest: str | None = None
    """`sha256:…` of the canonical rows (`corl_bench.tasks.digest`); None: unpinned."""
    source: Source | None = None
    """None: generated, or to be had from local files only."""
    generated: bool = False
    skip_unanswered: bool = False
    """Rows without a gold are left out; else the first one stops the load."""
    how_to_get: str | None = None
    """For a split that no library loads: where its file comes from."""


@dataclass(frozen=True, slots=True)
class Mend:
    """A literal replacement, made when rows are loaded."""

    field: Literal["problem", "answer"]
    find: str
    """Empty: the field is empty, and `replace` is what it should hold."""
    replace: str
    where: str = ""
    """Only in rows whose statement holds this phrase."""


@dataclass(frozen=True, slots=True)
class Erratum:
    """Something known to be wrong with the data, and what is done about it."""

    what: str
    mended: str


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Subject and level by which the simulated pool treats every problem of a task."""

    subject: str
    level: int


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A named set of problems: everything about it but the problems."""

    name: str
    title: str
    kind: AnswerKind
    prompt: str
    """Template with `{problem}`."""
    splits: Mapping[str, Split]
    default_split: str
    licence: str
    redistributable: bool
    """False: statements never enter anything that is published."""
    errata: tuple[Erratum, ...] = ()
    mends: tuple[Mend, ...] = ()
    difficulty: Difficulty | None = None
    """Declared where rows carry no MATH subject and level; it then stands in each problem."""

    @classmethod
    def of_file(cls, name: str, *, kind: AnswerKind = "math") -> TaskSpec:
        """The spec of a user's own file: unpinned, and the user's to publish."""
        return cls(
            name=name,
            title=f"{name} (a file)",
            kind=kind,
            prompt=DEFAULT_PROMPTS[kind],
            splits=MappingProxyType({"all": Split()}),
            default_split="all",
            licence="the file's owner knows",
            redistributable=True,
        )


def render_prompt(spec: TaskSpec, text: str) -> str:
    """The user message for one problem: the task's template around the statement."""
    return spec.prompt.replace(PLACEHOLDER, text)
