"""Reads `task.toml` into a `TaskSpec`; what is not declared right is named with its place.

The file is the only edge here, so pydantic stays in this module and is imported with it; the
rest of the package reaches it from inside functions.

    spec = read_spec(Path("tasks/gsm8k/task.toml"))
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from corl_bench.errors import ConfigError
from corl_bench.tasks.spec import (
    PLACEHOLDER,
    AnswerForm,
    Difficulty,
    Erratum,
    IdPattern,
    Mend,
    Source,
    Split,
    TaskSpec,
)
from corl_bench.toml import parse_toml
from corl_bench.types import AnswerKind

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _IdPattern(_Table):
    column: Text
    pattern: Text

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern


class _Source(_Table):
    dataset: Text
    problem: Annotated[list[Text], Field(min_length=1)]
    answer: Text
    configurations: list[Text] = []
    splits: Annotated[list[Text], Field(min_length=1)]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    answer_form: AnswerForm = "plain"
    id: Text = "{row}"
    id_pattern: _IdPattern | None = None
    subject: Text | None = None
    level: Text | None = None
    metadata: list[Text] = []
    same_rows: bool = True
    count: Count | None = None

    def frozen(self) -> Source:
        return Source(
            dataset=self.dataset,
            problem=tuple(self.problem),
            answer=self.answer,
            configurations=tuple(self.configurations),
            splits=tuple(self.splits),
            revision=self.revision,
            answer_form=self.answer_form,
            id=self.id,
            id_pattern=(
                IdPattern(self.id_pattern.column, self.id_pattern.pattern)
                if self.id_pattern
                else None
            ),
            subject=self.subject,
            level=self.level,
            metadata=tuple(self.metadata),
            same_rows=self.same_rows,
            count=self.count,
        )


class _Split(_Table):
    count: Count | None = None
    digest: Digest | None = None
    source: _Source | None = None
    generated: bool = False
    skip_unanswered: bool = False
    how_to_get: Text | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> _Split:
        if self.generated and self.source:
            raise ValueError("a generated split has no source")
        return self


class _Mend(_Table):
    field: Literal["problem", "answer"]
    find: str
    replace: str
    where: str = ""

    @model_validator(mode="after")
    def _bounded(self) -> _Mend:
        if not self.find and not (self.field == "answer" and self.where):
            raise ValueError("an empty `find` fills an empty answer, and needs a `where`")
        return self


class _Erratum(_Table):
    what: Text
    mended: Text


class _Difficulty(_Table):
    subject: Text
    level: Annotated[int, Field(ge=1, le=5)]


class _Task(_Table):
    name: Name
    title: Text
    kind: AnswerKind
    prompt: Text
    default_split: Text
    licence: Text
    redistributable: bool
    splits: Annotated[dict[Name, _Split], Field(min_length=1)]
    errata: list[_Erratum] = []
    mend: list[_Mend] = []
    simulation: _Difficulty | None = None

    @model_validator(mode="after")
    def _consistent(self) -> _Task:
        if self.default_split not in self.splits:
            raise ValueError(f"default_split {self.default_split!r} is not among the splits")
        if self.prompt.count(PLACEHOLDER) != 1:
            raise ValueError(f"the prompt must hold {PLACEHOLDER} exactly once")
        return self


def read_spec(path: Path) -> TaskSpec:
    """Reads a `task.toml`.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or declares something wrong; the
            message names the file and the key.
    """
    try:
        table = parse_toml(path.read_text(encoding="utf-8"))
        task = _Task.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{path}: {key}: {first['msg']}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable task file: {error}") from error
    return TaskSpec(
        name=task.name,
        title=task.title,
        kind=task.kind,
        prompt=task.prompt,
        splits=MappingProxyType(
            {
                name: Split(
                    count=split.count,
                    digest=split.digest,
                    source=split.source.frozen() if split.source else None,
                    generated=split.generated,
                    skip_unanswered=split.skip_unanswered,
                    how_to_get=split.how_to_get,
                )
                for name, split in task.splits.items()
            }
        ),
        default_split=task.default_split,
        licence=task.licence,
        redistributable=task.redistributable,
        errata=tuple(Erratum(erratum.what, erratum.mended) for erratum in task.errata),
        mends=tuple(Mend(mend.field, mend.find, mend.replace, mend.where) for mend in task.mend),
        difficulty=(
            Difficulty(task.simulation.subject, task.simulation.level) if task.simulation else None
        ),
    )
