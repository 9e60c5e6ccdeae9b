"""Tokens a second of a server that counts them, and the price that follows."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.cli.main import main
from corl_bench.experts.pools import load_pool
from serve.endpoints import pool_toml
from servers.fault_server import FaultServer
from servers.threads import in_thread

PLAIN = '[experts.a]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'


def _measure(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["pool", "measure", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_what_was_measured_is_a_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pool.toml"
    with in_thread(lambda: FaultServer(latency_s=0.05)) as server:
        path.write_text(pool_toml(server.base_url))
        options = ("--at-a-time", "4", "--requests", "12", "--prompt-words", "200")
        code = _measure(str(path), "a", *options, "--usd-per-gpu-hour", "2", "--gpus", "2")
        asked = [r["body"] for r in server.requests]
        counted = [(r["input_tokens"], r["output_tokens"]) for r in server.requests]
    assert code == 0
    # Four at a time, so each load is preceded by four that warm the server up.
    assert [body["max_tokens"] for body in asked] == [1] * 16 + [256] * 16
    # No two begin alike: a server that keeps prefixes has none to go by.
    assert len({body["messages"][0]["content"][:6] for body in asked}) == 32
    told = capsys.readouterr().out
    read, written = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) tokens of 12", told))
    assert read == sum(tokens for tokens, _ in counted[4:16])
    assert written == sum(tokens for _, tokens in counted[20:])
    # What is printed for the pool file is what a pool file may say.
    printed = told[told.index("[experts.a.price]") : told.index("\ndollars")]
    measured = tmp_path / "measured.toml"
    measured.write_text(PLAIN + printed)
    price = load_pool(str(measured))["a"].price
    assert price.source.startswith(
        "corl-bench pool measure, gpt-4.1, 4 at a time (2 × $2 a GPU hour"
    )
    written_per_s = tomllib.loads(printed)["experts"]["a"]["price"]["output_tokens_per_s"]
    per_mtok = re.search(r"dollars per million tokens: ([\d.]+) in, ([\d.]+) out", told)
    assert per_mtok is not None
    assert list(price.figures().values()) == [per_mtok[1], per_mtok[2]]
    exact = Decimal(4) / 3600 / Decimal(str(written_per_s)) * 10**6
    assert 0 <= Decimal(per_mtok[2]) - exact < Decimal("1e-9")


def test_a_second_measurement_has_other_prompts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that keeps prefixes would read those of the first from its cache."""
    path = tmp_path / "pool.toml"
    options = ("a", "--at-a-time", "2", "--requests", "3", "--prompt-words", "20")
    with in_thread(FaultServer) as server:
        path.write_text(pool_toml(server.base_url))
        for more in ((), (), ("--seed", "one"), ("--seed", "one")):
            assert _measure(str(path), *options, *more) == 0
        said = [r["body"]["messages"][0]["content"] for r in server.requests]
    runs = [set(said[start : start + 10]) for start in range(0, 40, 10)]
    assert [len(run) for run in runs] == [10] * 4
    assert not runs[0] & runs[1] and not runs[1] & runs[2]
    assert runs[2] == runs[3]
    assert "--seed one" in capsys.readouterr().out


def test_a_server_that_fails_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pool.toml"
    with in_thread(lambda: FaultServer(lambda arrival: "no_usage")) as server:
        path.write_text(pool_toml(server.base_url))
        assert _measure(str(path), "a", "--at-a-time", "2") == 2
    told = capsys.readouterr().err
    assert "expert a cannot be measured" in told and len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sim", "nano"), "has no base_url"),
        (("sim", "nobody"), "no expert 'nobody' in pool sim; it has self, nano"),
        (("sim", "nano", "--usd-per-gpu-hour", "0"), "costs nothing"),
        (("sim", "nano", "--usd-per-gpu-hour", "1e3"), "--usd-per-gpu-hour"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _measure(*arguments) == 2
    assert words in capsys.readouterr().err
