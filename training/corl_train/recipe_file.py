"""Recipes as files: found by name, changed by settings, checked, and written out again.

What a recipe may say are the tables of whoever trains it: `corl_train.config` for the embedded
trainer, `corl_train.openrlhf.recipe` for OpenRLHF. Everything that is wrong with one is a line.

    data = read_recipe("quickstart", Config, backend="embedded", settings=["training.epochs=2"])
    config = parse_recipe(Config, data, "quickstart")
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from corl_bench.errors import ConfigError
from corl_bench.toml import parse_toml


class Table(BaseModel):
    """A table of a recipe: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Backend = Literal["embedded", "openrlhf"]
"""Who trains: this package in one process, or OpenRLHF on a cluster."""

AnyRecipe = TypeVar("AnyRecipe", bound=Table)

_BY_KIND = frozenset({"policy", "reward"})
COMMANDS: Mapping[Backend, str] = {"embedded": "run", "openrlhf": "launch"}
"""The verb of `corl-train` for each."""


def recipes(backend: Backend | None = None) -> list[str]:
    """Names of the recipes that come with corl-train.

    Args:
        backend: only those that it trains; None: all.
    """
    folder = resources.files("corl_train") / "recipes"
    names = sorted(
        e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml")
    )
    return [n for n in names if backend is None or backend_of(n) == backend]


def backend_of(name_or_path: str) -> Backend:
    """Who trains a recipe.

    Raises:
        ConfigError: there is none, or it names no backend that there is.
    """
    return _backend(_read(name_or_path), name_or_path)


def read_recipe(
    name_or_path: str, model: type[Table], *, backend: Backend, settings: Sequence[str] = ()
) -> dict[str, Any]:
    """The tables of a recipe with settings on top, not checked yet; see `parse_recipe`.

    Args:
        name_or_path: as for `load_recipe`.
        model: what the recipe will be; its types tell which settings are texts.
        backend: who is to train it.
        settings: what to change.

    Raises:
        ConfigError: there is none, it is for another backend, or a setting is none.
    """
    data = _read(name_or_path)
    theirs = _backend(data, name_or_path)
    if theirs != backend:
        raise ConfigError(
            f"recipe {name_or_path} is trained by the {theirs} backend:"
            f" corl-train {COMMANDS[theirs]} {name_or_path}"
        )
    data.pop("backend", None)
    # Another kind has settings of its own, so it comes before them and takes none of the recipe's.
    for setting in sorted(settings, key=lambda text: ".kind=" not in text):
        _set(data, setting, model)
    return {"name": Path(name_or_path).stem, **data}


def _read(name_or_path: str) -> dict[str, Any]:
    path = Path(name_or_path)
    folder = resources.files("corl_train") / "recipes"
    if path.suffix == ".toml":
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise ConfigError(f"cannot read recipe {path}: {reason}") from None
    elif (built_in := folder / f"{path.name}.toml").is_file() and path.name == name_or_path:
        text = built_in.read_text(encoding="utf-8")
    else:
        raise ConfigError(
            f"no recipe {name_or_path!r}: there are {', '.join(recipes())}, or name a .toml file"
        )
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name_or_path}: no TOML: {error}") from None


def _backend(data: Mapping[str, Any], source: str) -> Backend:
    named = data.get("backend", "embedded")
    if named not in list(COMMANDS):  # a list, for what a file names may have no hash
        raise ConfigError(f"{source}: backend: input should be {' or '.join(COMMANDS)}")
    backend: Backend = named
    return backend


def parse_recipe(model: type[AnyRecipe], data: dict[str, Any], source: str) -> AnyRecipe:
    """Checks a recipe's tables.

    Args:
        model: what it is to be.
        data: of `read_recipe`.
        source: named in messages.

    Raises:
        ConfigError: the first mistake, with its place.
    """
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        first = min(
            invalid.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden"
        )
    said = first["msg"].lower().removeprefix("value error, ")
    if not first["loc"]:
        raise ConfigError(f"{source}: {said}")  # tables that do not go together
    table, *keys = map(str, first["loc"])
    # Behind a table that has kinds stands which one it was taken for, which is no key.
    place = ".".join((table, *(keys[1:] if table in _BY_KIND else keys)))
    problem = {
        "extra_forbidden": "unknown key",
        "model_type": f"a table, as in [{place}]",
        "model_attributes_type": f"a table, as in [{place}]",
    }.get(first["type"], said)
    if first["type"] == "tuple_type" and isinstance(first["input"], str | int | float):
        problem = f"a list, as in {_toml([first['input']])}"
    raise ConfigError(f"{source}: {place}: {problem}")


def _set(data: dict[str, Any], setting: str, model: type[Table]) -> None:
    place, equals, text = setting.partition("=")
    *tables, key = place.strip().split(".")
    if not equals or not key or len(tables) != 1:
        raise ConfigError(f"--set {setting!r}: write TABLE.KEY=VALUE, as in training.iterations=10")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text.strip()
    if not isinstance(value, str | None) and _is_text(model, tables[0], key):
        value = text.strip()  # a price or a budget is taken as it was written, digit by digit
    table = data.setdefault(tables[0], {})
    if not isinstance(table, dict):
        raise ConfigError(f"--set {setting!r}: {tables[0]} is no table")
    if key == "kind" and tables[0] in _BY_KIND and table.get(key) != value:
        table.clear()
    table[key] = value


def _is_text(recipe: type[Table], table: str, key: str) -> bool:
    """Whether a setting is a text, in whatever kind of its table it stands."""
    field = recipe.model_fields.get(table)
    models = [] if field is None else _alternatives(field.annotation)
    return any(
        str in _alternatives(model.model_fields[key].annotation)
        for model in models
        if isinstance(model, type) and issubclass(model, Table) and key in model.model_fields
    )


def _alternatives(annotation: object) -> list[object]:
    """The types that a type allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin is Union or origin is UnionType:
        return [one for choice in get_args(annotation) for one in _alternatives(choice)]
    return [annotation]


def to_toml(config: Table) -> str:
    """A recipe as the file that says all of it."""
    said = config.model_dump(mode="json")
    lines = [f"# {said['name']}, every setting written out."]
    if backend := said.get("backend"):
        lines.append(f"backend = {_toml(backend)}")
    for name, table in said.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]"]
            # A setting that is None has no TOML and is the default anyway.
            lines += [
                f"{key} = {_toml(value)}" for key, value in table.items() if value is not None
            ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A string, a number, a truth value or a list of these; JSON writes them as TOML does."""
    return json.dumps(value, ensure_ascii=False)
