"""What may stand in a pool file, and one line about what may not.

The schema of `pool.toml`, checked by pydantic: unknown keys are errors, amounts are read as
decimals and never pass through a float, and no message repeats a value that could be a secret.
`corl_bench.experts.pools` turns what is valid into a `Pool`; `docs/pools.md` describes it.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from corl_bench.errors import ConfigError
from corl_bench.experts.transport import is_loopback
from corl_bench.money.amounts import PRICE_DECIMALS, format_usd, parse_usd
from corl_bench.money.gpu_hours import GpuHours
from corl_bench.money.prices import Price
from corl_bench.toml import parse_toml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
"""Names of experts and budgets: they stand in `mix:a,b@p` and `--budget low=0.01`."""

_ENVIRONMENT_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TOML_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


def _amount(value: object) -> Decimal:
    """A price: digits in quotes, or a TOML number, which was read as an exact decimal."""
    if isinstance(value, Decimal) and value.is_finite():
        value = format_usd(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError('write the amount in digits: 0.15 or "0.15"')
    try:
        return parse_usd(value, decimals=PRICE_DECIMALS)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _rate(value: object) -> Decimal:
    """Tokens a second, written as an amount is."""
    try:
        return _amount(value)
    except ValueError:
        raise ValueError('write tokens a second in digits: 5000 or "5000"') from None


def _budget(value: object) -> str:
    if isinstance(value, str):
        try:
            parse_usd(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return value
    return format_usd(_amount(value))


def _number(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("write a day: 2026-01-31")
    return value


def _price(value: object) -> object:
    if not isinstance(value, str | Mapping) or not value:
        raise ValueError('write an id of the price library, "openai/o3", or a table of figures')
    return value


def _name(value: object) -> object:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError("a name is made of letters, digits, '.', '_' and '-'")
    return value


def _variable(value: object) -> object:
    if not isinstance(value, str) or not _ENVIRONMENT_VARIABLE.fullmatch(value):
        raise ValueError("this is the name of an environment variable, never a key itself")
    return value


def _one_line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


def _plain_table(value: object) -> object:
    """A table that the provider validates: as TOML gives it, numbers as floats."""
    if isinstance(value, Mapping):
        return {key: _plain_table(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_table(item) for item in value]
    return _number(value)


Amount = Annotated[Decimal, BeforeValidator(_amount)]
Rate = Annotated[Decimal, BeforeValidator(_rate), Field(gt=0)]
Day = Annotated[date, BeforeValidator(_day)]
Name = Annotated[str, BeforeValidator(_name)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Table = Annotated[dict[str, Any], BeforeValidator(_plain_table)]
Text = Annotated[str, Field(min_length=1)]


class StrictTable(BaseModel):
    """A table without unknown keys and without conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PriceTable(StrictTable):
    """`price = {…}`: a price of the file's own, with the day and the source of its figures."""

    input_usd_per_mtok: Amount
    output_usd_per_mtok: Amount
    cached_input_usd_per_mtok: Amount | None = None
    cache_write_usd_per_mtok: Amount | None = None
    cache_write_1h_usd_per_mtok: Amount | None = None
    effective_from: Day
    source: Text


class GpuPriceTable(StrictTable):
    """`price = {…}`: a price that follows from what machines cost and were measured to do."""

    usd_per_gpu_hour: Annotated[Amount, Field(gt=0)]
    gpus: int = Field(default=1, ge=1)
    input_tokens_per_s: Rate
    output_tokens_per_s: Rate
    effective_from: Day
    source: Text


_MEASURED = frozenset({"input_tokens_per_s", "output_tokens_per_s"})
_OF_GPUS = frozenset({"usd_per_gpu_hour", "gpus"}) | _MEASURED
_BY_TOKEN = frozenset(PriceTable.model_fields) - frozenset(GpuPriceTable.model_fields)


def read_price_table(
    data: Mapping[str, Any], model: str, *, file: str, where: tuple[str, ...]
) -> Price:
    """A price of the file's own, by the token or by the hour.

    Args:
        data: the table as TOML gave it.
        model: what the price is of.
        file: the name of its file, for the message.
        where: keys that lead to the table.

    Raises:
        ConfigError: a figure is missing, or is none.
    """
    if not _OF_GPUS & set(data):
        return Price(model=model, **validate(PriceTable, data, file=file, where=where).model_dump())
    if by_token := sorted(set(data) & _BY_TOKEN):
        raise ConfigError(
            f"{file}: {'.'.join((*where, by_token[0]))}: a price is by the token or by the GPU"
            f" hour, not both: take out {', '.join(by_token)}, or"
            f" {', '.join(sorted(_OF_GPUS & set(data)))}"
        )
    own = validate(GpuPriceTable, data, file=file, where=where)
    hours = GpuHours(
        own.usd_per_gpu_hour, own.gpus, own.input_tokens_per_s, own.output_tokens_per_s
    )
    return Price(
        model=model,
        effective_from=own.effective_from,
        source=f"{own.source} ({hours.words()})",
        input_usd_per_mtok=hours.input_usd_per_mtok,
        output_usd_per_mtok=hours.output_usd_per_mtok,
    )


class ExpertTable(StrictTable):
    """`[experts.<name>]`."""

    provider: Text
    model: Text | None = None
    price: Annotated[str | dict[str, Any], BeforeValidator(_price)] | None = None
    description: Annotated[str, BeforeValidator(_one_line)] = ""
    role: Literal["expert", "self"] = "expert"
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: Number | None = Field(default=None, ge=0)
    top_p: Number | None = Field(default=None, gt=0, le=1)
    reasoning_effort: Text | None = None
    stop: list[Text] = []
    base_url: Text | None = None
    key_env: Annotated[str, BeforeValidator(_variable)] | None = None
    key_over_http: bool = False
    timeout_s: Number = Field(default=600.0, gt=0)
    max_attempts: int = Field(default=5, ge=1)
    max_concurrency: int = Field(default=64, ge=1)
    usage: Literal["required", "estimate"] = "required"
    send_seed: bool = False
    simulation: Table | None = None
    options: Table = {}
    card: Table | None = None
    """What has been measured of it, as in a file of cards."""

    @model_validator(mode="after")
    def _address(self) -> ExpertTable:
        if self.base_url is not None:
            check_address(self.base_url, None if self.key_over_http else self.key_env)
        return self


class SharedTable(StrictTable):
    """`[shared]`: the server that all experts are asked through, see `corl-bench pool share`."""

    base_url: Text
    key_env: Annotated[str, BeforeValidator(_variable)] | None = None
    key_over_http: bool = False
    timeout_s: Number = Field(gt=0)
    max_attempts: int = Field(ge=1)
    seed: int = 0
    pool: Text
    """Digest of the pool that is shared."""

    @model_validator(mode="after")
    def _address(self) -> SharedTable:
        check_address(self.base_url, None if self.key_over_http else self.key_env)
        return self


class PoolTable(StrictTable):
    """The whole file."""

    name: Name | None = None
    price_date: Day | None = None
    budgets: dict[Name, Annotated[str, BeforeValidator(_budget)]] = {}
    simulation: Table | None = None
    cards: Text | None = None
    """File of cards beside this one, see `card_file`."""
    shared: SharedTable | None = None
    experts: Annotated[dict[Name, ExpertTable], Field(min_length=1)]


def read_pool_file(path: Path) -> PoolTable:
    """Reads and validates a pool file, except for the tables that providers validate.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or holds what no pool file may hold.
    """
    try:
        # Windows editors put a mark at the start that is no part of the text.
        data = parse_toml(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text, so no TOML") from None
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = f":{place[1]}" if place and place[1] else ""
        raise ConfigError(f"{path}{line}: {_TOML_PLACE.sub('', str(error))}") from None
    return validate(PoolTable, data, file=path.name)


_Parsed = TypeVar("_Parsed", bound=BaseModel)


def validate(
    schema: type[_Parsed], data: object, *, file: str, where: tuple[str, ...] = ()
) -> _Parsed:
    """Checks a table against its schema.

    Args:
        schema: what the table may hold.
        data: the table as TOML gave it.
        file: the name of its file, for the message.
        where: keys that lead to the table.

    Raises:
        ConfigError: `pool.toml: experts.o3.price.source: missing`, for the first mistake.
    """
    try:
        return schema.model_validate(data)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
    # A misspelt key comes before the missing one that it leads to.
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    # pydantic marks a bad key of a table with a further part of its own.
    place = [*where, *(str(part) for part in first["loc"] if part != "[key]")]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    message = _message(first["type"], first["msg"], place, _keys(place))
    raise ConfigError(f"{file}: {'.'.join(place)}: {message}{more}")


def _message(kind: str, message: str, place: list[str], known: tuple[str, ...]) -> str:
    key, where = place[-1] if place else "", ".".join(place)
    if kind in ("missing", "dict_type", "model_type") and key == "experts":
        return "missing: declare each expert as a table, [experts.NAME]"
    if kind == "missing" and key in _MEASURED:
        return "missing: a price by the GPU hour needs what was measured (corl-bench pool measure)"
    if kind == "missing":
        return "missing"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return f"write a table: [{where}]"
    if kind == "extra_forbidden":
        near = ["key_env"] if "key_env" in known and "key" in key else []
        near = near or difflib.get_close_matches(key, known, n=1)
        return f"unknown key (did you mean {near[0]}?)" if near else "unknown key"
    if kind == "too_short" and key == "experts":
        return "a pool has at least one expert"
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[:1].lower() + message[1:]


def _keys(place: list[str]) -> tuple[str, ...]:
    """The keys that are known where the last part of a place stands."""
    if "price" in place[1:3]:
        return (*PriceTable.model_fields, *GpuPriceTable.model_fields)
    if place[:1] == ["shared"]:
        return tuple(SharedTable.model_fields)
    expert = place[:1] in (["experts"], ["model"])
    return tuple((ExpertTable if expert else PoolTable).model_fields)


def check_address(base_url: str, key_env: str | None) -> None:
    """Refuses what is no address of a server, or would give a key away.

    Raises:
        ValueError: with what is wrong, and what would be right.
    """
    try:
        parts = urlsplit(base_url)
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https"):
        raise ValueError("base_url must be an address like https://host/v1 or http://host:8000/v1")
    if parts.username or parts.password:
        raise ValueError("base_url must not hold a user or a password; use key_env")
    if parts.scheme == "http" and key_env and not is_loopback(host):
        raise ValueError(
            f"base_url is plain http to {host}, so the key of {key_env} would travel unencrypted; "
            "use https, leave key_env out, or set key_over_http = true in a network that you trust"
        )
