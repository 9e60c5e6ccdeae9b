"""`router.toml`: what a fitted router is, checked when it is read and the same text each time.

It says where the examples came from, which hyperparameters were tried, what each expert was and
came to in training, every operating point, and which bytes the files beside it must have.

    table = validate(RouterTable, parse_toml(text), file="knn/router.toml")
    table.points[0].accuracy
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from corl_bench.experts.base import Pool
from corl_bench.experts.pool_file import Amount
from corl_bench.money.amounts import format_usd
from corl_bench.routers.learned.choosing import TIE_RULE
from corl_bench.routers.learned.fitting import Fitted, Kind

SCHEMA = "corl-bench/learned@1"
FILE_NAME = "router.toml"

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FittedOn(_Strict):
    """`[fitted_on]`: where the examples came from."""

    task: Text
    split: Text
    task_digest: Text
    problems: int
    problems_left_out: int
    examples: int
    examples_digest: Text
    pool: Text
    pool_digest: Text
    grader: Text
    folds: int


class Features(_Strict):
    """`[features]`: what turns text into numbers, and what it is stated to cost."""

    kind: Literal["tfidf", "embedding"]
    model: Text | None = None
    digest: Text | None = None
    usd_per_text: Amount = Decimal(0)


class HyperparameterTable(_Strict):
    name: Text
    value: float
    errors: dict[str, float]


class Expert(_Strict):
    """`[[experts]]`: an expert as it was in training."""

    name: Text
    model: Text
    price: dict[str, Text]
    accuracy: Share
    mean_cost_usd: Dollars


class PointTable(_Strict):
    trade_off: Dollars = Field(alias="lambda")
    accuracy: Share
    mean_cost_usd: Dollars
    calls: dict[str, Share]
    chain: list[Text] = []
    thresholds: list[Share] = []


class RouterTable(_Strict):
    schema_: Literal["corl-bench/learned@1"] = Field(alias="schema")
    router: Kind
    tie_rule: Text
    fitted_on: FittedOn
    features: Features
    hyperparameters: list[HyperparameterTable]
    experts: Annotated[list[Expert], Field(min_length=1)]
    points: Annotated[list[PointTable], Field(min_length=1)]
    files: dict[str, Digest]


def experts_of(pool: Pool, fitted: Fitted) -> tuple[Expert, ...]:
    """The experts of a fit with the model and price that the pool gives them."""
    return tuple(
        Expert(
            name=name,
            model=pool[name].model,
            price=pool[name].price.figures(),
            accuracy=float(accuracy),
            mean_cost_usd=float(cost_usd),
        )
        for name, accuracy, cost_usd in zip(
            fitted.experts, fitted.accuracy, fitted.cost_usd, strict=True
        )
    )


def toml_lines(
    fitted: Fitted,
    fitted_on: FittedOn,
    features: Features,
    experts: Sequence[Expert],
    digests: Mapping[str, str],
) -> Iterator[str]:
    yield "# A fitted routing system, written by `corl-bench fit`; docs/routers-learned.md."
    yield f"schema = {_value(SCHEMA)}"
    yield f"router = {_value(fitted.kind)}"
    yield f"tie_rule = {_value(TIE_RULE)}"
    yield from _table("fitted_on", fitted_on.model_dump())
    stated = features.model_dump() | {"usd_per_text": format_usd(features.usd_per_text)}
    yield from _table("features", stated)
    yield from _table("files", digests)
    for one in fitted.hyperparameters:
        errors = {repr(value): error for value, error in one.errors.items()}
        row = {"name": one.name, "value": one.value, "errors": errors}
        yield from _table("hyperparameters", row, repeated=True)
    for expert in experts:
        yield from _table("experts", expert.model_dump(), repeated=True)
    for point in fitted.points:
        row = {
            "lambda": point.trade_off,
            "accuracy": point.accuracy,
            "mean_cost_usd": point.cost_usd,
            "calls": dict(point.calls),
        }
        if point.chain:
            row |= {"chain": list(point.chain), "thresholds": list(point.thresholds)}
        yield from _table("points", row, repeated=True)


def _table(name: str, row: Mapping[str, Any], *, repeated: bool = False) -> Iterator[str]:
    yield ""
    yield f"[[{name}]]" if repeated else f"[{name}]"
    yield from (f"{_key(key)} = {_value(value)}" for key, value in row.items() if value is not None)


def _key(text: str) -> str:
    return text if text.isidentifier() and text.isascii() else json.dumps(text, ensure_ascii=False)


def _value(value: object) -> str:
    """A TOML value; JSON writes texts, numbers and lists as TOML does."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
