"""The keys of a server: who may ask, how much, how often, and up to how many dollars.

A TOML file names keys and never holds one: each entry gives the sha256 digest of its key, or the
environment variable that holds it.

    [keys.alice]
    sha256 = "<64 hexadecimal digits>"      # printf %s "$KEY" | sha256sum
    cap_usd = "5"
    budget = "low"
    requests_per_minute = 60

    [keys.ci]
    env = "CORL_CI_KEY"

Invariant: only digests are held in memory, and no message repeats what a file or a variable
has in a key's place.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.pool_file import Amount, Name, validate
from corl_bench.experts.transport import is_loopback
from corl_bench.money.amounts import parse_usd
from corl_bench.serving import LOOPBACK
from corl_bench.toml import parse_toml
from corl_bench.types import Budget

LOCAL = "local"
"""Whose requests they are where a server on loopback asks for no key."""

MIN_KEY_CHARS = 16
"""Shorter ones can be guessed from their digests."""

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _digest(value: object) -> object:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value.lower()):
        raise ValueError("write the key's sha256 digest, 64 hexadecimal digits, not the key")
    return value.lower()


def _variable(value: object) -> object:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValueError("this is the name of an environment variable, never a key itself")
    return value


def _written_budget(value: object) -> object:
    return f"{value}" if isinstance(value, Decimal | int) else value


class _KeyTable(BaseModel):
    """`[keys.<name>]`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: Annotated[str, BeforeValidator(_digest)] | None = None
    env: Annotated[str, BeforeValidator(_variable)] | None = None
    cap_usd: Amount | None = None
    budget: Annotated[str, BeforeValidator(_written_budget)] | None = None
    requests_per_minute: int | None = Field(default=None, ge=1)
    max_in_flight: int | None = Field(default=None, ge=1)
    max_body_bytes: int | None = Field(default=None, ge=1)
    all_metrics: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> _KeyTable:
        if (self.sha256 is None) == (self.env is None):
            raise ValueError("give either sha256, the key's digest, or env, its variable")
        return self


class _KeysTable(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keys: Annotated[dict[Name, _KeyTable], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Key:
    """What one key allows; None: no limit but the server's own."""

    name: str
    """The account: spending is kept under it, whatever the key behind it becomes."""
    cap_usd: Decimal | None = None
    """All that it may ever spend in one directory."""
    budget: Budget | None = None
    """Of requests that name none."""
    requests_per_minute: int | None = None
    max_in_flight: int | None = None
    max_body_bytes: int | None = None
    all_metrics: bool = False
    """Whether it reads what others have done and spent, or its own lines alone."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that are known, by the digests of their text."""

    by_digest: Mapping[str, Key]

    def find(self, authorization: str) -> Key | None:
        """The key in an `Authorization` header, if it is one of them.

        What is looked up is a digest, so the time that it takes says nothing about any key.
        """
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self.by_digest.get(_digest_of(text.strip()))


def read_keys(path: Path, pool: Pool, environment: Mapping[str, str]) -> KeyRing:
    """Reads a file of keys.

    Args:
        path: the file.
        pool: names budgets.
        environment: where the variables are that it names.

    Raises:
        ConfigError: it cannot be read, holds what no file of keys may hold, names a variable
            that is not set, or has a key twice.
    """
    try:
        data = parse_toml(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    table = validate(_KeysTable, data, file=path.name)
    ring: dict[str, Key] = {}
    for name, entry in table.keys.items():
        where = f"{path.name}: keys.{name}"
        digest = entry.sha256 or _digest_in(entry.env or "", environment, where)
        if digest in ring:
            raise ConfigError(f"{where}: the same key as keys.{ring[digest].name}")
        ring[digest] = Key(
            name=name,
            cap_usd=entry.cap_usd,
            budget=None if entry.budget is None else read_budget(entry.budget, pool, where),
            requests_per_minute=entry.requests_per_minute,
            max_in_flight=entry.max_in_flight,
            max_body_bytes=entry.max_body_bytes,
            all_metrics=entry.all_metrics,
        )
    return KeyRing(ring)


def require_keys_beyond_loopback(ring: KeyRing | None, host: str, remedy: str) -> None:
    """Refuses to let whoever can reach an address spend.

    Args:
        ring: known keys; None where none is asked for.
        host: where the server is to listen.
        remedy: how keys are named.

    Raises:
        ConfigError: other machines can reach it, and no key is asked for.
    """
    if ring is None and not is_loopback(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines: {remedy}, or listen on {LOOPBACK}"
        )


def single_key(variable: str, environment: Mapping[str, str], where: str) -> KeyRing:
    """The one key in a variable, with no limit but the server's.

    Args:
        variable: its name.
        environment: where it is.
        where: what names the variable, for messages.

    Raises:
        ConfigError: it is not set, or holds what could be guessed.
    """
    return KeyRing({_digest_in(variable, environment, where): Key(LOCAL, all_metrics=True)})


def read_budget(text: str, pool: Pool, where: str) -> Budget:
    """A budget of the pool by its name, or dollars.

    Raises:
        ConfigError: it is neither, or nothing.
    """
    try:
        usd = parse_usd(pool.budgets.get(text, text), what="budget")
    except ConfigError:
        known = ", ".join(pool.budgets) or "none"
        raise ConfigError(
            f"{where}: budget {text[:40]!r} is neither dollars nor a budget of pool"
            f" {pool.name!r} (it names {known})"
        ) from None
    if not usd:
        raise ConfigError(f"{where}: a budget of $0 allows no call")
    return Budget(text, usd)


def _digest_in(variable: str, environment: Mapping[str, str], where: str) -> str:
    key = environment.get(variable, "").strip()
    if not key:
        raise ConfigError(f"{where}: {variable} is not set")
    if len(key) < MIN_KEY_CHARS:
        raise ConfigError(
            f"{where}: {variable} holds fewer than {MIN_KEY_CHARS} characters: make one with"
            " `openssl rand -hex 24`"
        )
    return _digest_of(key)


def _digest_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
