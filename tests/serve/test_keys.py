"""Files of keys: what they allow, and that no key is ever repeated."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.serve.keys import Key, KeyRing, read_keys
from corl_bench.types import Budget

SECRET = "secret-0123456789-abcdef"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()


def _read(folder: Path, text: str, **environment: str) -> KeyRing:
    path = folder / "keys.toml"
    path.write_text(text)
    return read_keys(path, load_pool("sim"), environment)


def test_a_key_is_found_by_its_digest_or_its_variable(tmp_path: Path) -> None:
    ring = _read(
        tmp_path,
        f'[keys.alice]\nsha256 = "{DIGEST.upper()}"\ncap_usd = 2.5\nbudget = "low"\n'
        "requests_per_minute = 60\nmax_in_flight = 3\nmax_body_bytes = 900\n"
        '[keys.ci]\nenv = "CI_KEY"\nbudget = 0.01\nall_metrics = true\n',
        CI_KEY=SECRET + "-ci",
    )
    alice = ring.find(f"Bearer {SECRET}")
    assert alice == Key("alice", Decimal("2.5"), Budget("low", Decimal("0.0006")), 60, 3, 900)
    ci = ring.find(f"bearer  {SECRET}-ci ")
    assert ci == Key("ci", budget=Budget("0.01", Decimal("0.01")), all_metrics=True)


@pytest.mark.parametrize(
    "header", ["", SECRET, f"Basic {SECRET}", f"Bearer {DIGEST}", "Bearer", "Bearer \udcff"]
)
def test_nothing_else_is_a_key(tmp_path: Path, header: str) -> None:
    assert _read(tmp_path, f'[keys.alice]\nsha256 = "{DIGEST}"').find(header) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing"),
        ("[keys]", "at least 1"),
        ("not toml", "no TOML"),
        ("[keys.alice]", "either sha256"),
        (f'[keys.alice]\nkey = "{SECRET}"', "unknown key"),
        (f'[keys.alice]\nsha256 = "{SECRET}"', "64 hexadecimal digits"),
        (f'[keys.alice]\nenv = "{SECRET}"', "name of an environment variable"),
        ('[keys.alice]\nenv = "UNSET"', "UNSET is not set"),
        ('[keys.alice]\nenv = "SHORT"', "fewer than 16"),
        (f'[keys.alice]\nsha256 = "{DIGEST}"\nenv = "LONG"', "either sha256"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\n[keys.b]\nenv = "LONG"', "the same key as keys.a"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\nbudget = "huge"', "neither dollars nor a budget"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\nbudget = 0', "allows no call"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\ncap_usd = -1', "amount"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\nrequests_per_minute = 0', "requests_per_minute"),
        (f'[keys."a/b"]\nsha256 = "{DIGEST}"', "a name is made of"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_without_the_key(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        _read(tmp_path, text, SHORT="short", LONG=SECRET)
    message = str(raised.value)
    assert words in message
    assert "\n" not in message
    assert SECRET not in message
    assert "short" not in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere"):
        read_keys(tmp_path / "nowhere", load_pool("sim"), {})
