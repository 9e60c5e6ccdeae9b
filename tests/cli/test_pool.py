"""`corl-bench pool`: what it prints, checks and serves, against a real server on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from corl_bench.cli.pool import command
from corl_bench.errors import ConfigError, CorlError
from corl_bench.experts.pools import load_pool

PROBLEMS = [
    {"problem": "What is $17 + 25$ in base ten, dear student?", "answer": "42"},
    {"problem": "How many primes lie below $30$, dear student?", "answer": "10"},
]

OWN_PRICE = """
price = {input_usd_per_mtok = "1", output_usd_per_mtok = "2", effective_from = 2026-01-01,
source = "a test"}
""".replace("\n", " ")


def invoke(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(command, arguments, env=environment)


def verdicts(result: Result) -> dict[str, str]:
    """What `pool check` found of each expert, in a word."""
    found = re.findall(r"^(\w+)  .*\n  price .*\n  key .*\n  (\w+)", result.output, re.MULTILINE)
    return dict(found)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "corl_bench.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@dataclass
class Served:
    process: subprocess.Popen[str]
    said: str
    base_url: str
    pool_file: str
    log: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The simulated pool behind a free port, started as a user starts it."""
    folder = tmp_path_factory.mktemp("served")
    task = write(folder / "task.jsonl", "\n".join(map(json.dumps, PROBLEMS)))
    arguments = ["serve", "sim", "--task", task, "--seed", "3"]
    arguments += ["--log", str(folder / "log.jsonl"), "--pool-out", str(folder / "served.toml")]
    process = start("pool", *arguments)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        base_url = said.split()[-1]
        # The pool file is written when the server answers, after the line is printed.
        with urllib.request.urlopen(f"{base_url}/models", timeout=30) as reply:
            assert reply.status == 200
        yield Served(process, said, base_url, str(folder / "served.toml"), folder / "log.jsonl")
    finally:
        process.kill()
        process.wait()


def test_the_list_names_the_built_in_pools() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    assert re.search(r"^sim +self nano .* simulated ", result.output, re.MULTILINE)


def test_show_gives_prices_with_their_day_and_source() -> None:
    result = invoke("show", "sim")
    assert result.exit_code == 0
    assert "pool sim (simulated), prices of " in result.output
    assert (
        "nano: $0.1 in, $0.025 cached, $0.4 out; openai/gpt-4.1-nano, from 2025-04-14; https:"
        in (result.output)
    )
    assert "given in the pool file" in result.output
    assert "budgets a problem: low $" in result.output


def test_show_as_json_holds_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", '[experts.o3]\nprovider = "openai"\ntemperature = 0.5\n')
    result = invoke("show", path, "--json", "--date", "2025-06-09")
    shown = json.loads(result.output)
    assert (shown["name"], shown["simulated"], shown["price_date"]) == ("p", False, "2025-06-09")
    assert shown["digest"] == load_pool(path, price_date=date(2025, 6, 9)).digest
    (expert,) = shown["experts"]
    assert expert["price"]["output_usd_per_mtok"] == "40"
    assert expert["sampling"] == {"temperature": 0.5}
    assert expert["key_env"] == "OPENAI_API_KEY"


def test_a_day_that_is_none_is_a_mistake() -> None:
    result = invoke("show", "sim", "--date", "soon")
    assert isinstance(result.exception, ConfigError)


def test_check_of_the_simulated_pool_is_fine_and_says_simulated() -> None:
    result = invoke("check", "sim")
    assert result.exit_code == 0, result.output
    assert result.output.count("(simulated)") == 1 + len(load_pool("sim").experts)
    assert len(re.findall(r"^  ready  ", result.output, re.MULTILINE)) == 5


def test_check_names_the_variable_of_a_missing_key_and_ends_with_2(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", '[experts.o3]\nprovider = "openai"\n')
    result = invoke("check", path, environment={"OPENAI_API_KEY": ""})
    assert result.exit_code == 2
    assert "OPENAI_API_KEY is not set" in result.output
    assert verdicts(result) == {"o3": "KEYLESS"}
    assert "cannot be used: o3" in result.output


def test_check_reaches_a_server_and_finds_the_model(served: Served) -> None:
    result = invoke("check", served.pool_file)
    assert result.exit_code == 0, result.output
    assert result.output.count("ready") == len(load_pool("sim").experts)
    assert "model listed" in result.output
    assert "(simulated)" in result.output


def test_check_tells_apart_what_fails(served: Served, tmp_path: Path) -> None:
    text = f"""
[experts.listed]
provider = "openai"
model = "simulated-o3"
base_url = "{served.base_url}"
{OWN_PRICE}
[experts.unlisted]
provider = "openai"
model = "no-such-model"
base_url = "{served.base_url}"
{OWN_PRICE}
[experts.nobody]
provider = "openai"
model = "m"
base_url = "http://127.0.0.1:1/v1"
{OWN_PRICE}
[experts.stranger]
provider = "carrier-pigeon"
{OWN_PRICE}
"""
    result = invoke("check", write(tmp_path / "p.toml", text))
    assert result.exit_code == 2
    assert "cannot be used: unlisted, nobody, stranger" in result.output
    assert verdicts(result) == {
        "listed": "ready",
        "unlisted": "REFUSED",
        "nobody": "UNREACHABLE",
        "stranger": "MISCONFIGURED",
    }
    assert "no-such-model is not among" in result.output
    assert "unknown provider 'carrier-pigeon'" in result.output


def test_check_never_prints_a_key(served: Served, tmp_path: Path) -> None:
    text = f"""
[experts.o3]
provider = "openai"
model = "simulated-o3"
base_url = "{served.base_url}"
key_env = "MY_KEY"
{OWN_PRICE}
"""
    path = write(tmp_path / "p.toml", text)
    result = invoke("check", path, environment={"MY_KEY": "sk-very-secret"})
    assert result.exit_code == 0, result.output
    assert "MY_KEY is set" in result.output
    assert "secret" not in result.output


def test_serve_says_where_and_that_it_is_simulated(served: Served) -> None:
    assert served.said.startswith("simulated pool sim serves at http://127.0.0.1:")


def test_the_pool_file_it_writes_has_the_prices_and_budgets_of_the_pool(served: Served) -> None:
    through, own = load_pool(served.pool_file), load_pool("sim")
    assert through.simulated
    assert through.budgets == own.budgets
    assert [e.name for e in through.experts] == [e.name for e in own.experts]
    assert [e.price.figures() for e in through.experts] == [e.price.figures() for e in own.experts]


def test_the_openai_package_gets_an_answer_and_the_log_its_bill(served: Served) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=served.base_url, api_key="none", max_retries=0)
    replies: list[Any] = [
        client.chat.completions.create(
            model="reasoner",
            messages=[{"role": "user", "content": f"Solve: {row['problem']} Box it."}],
            seed=sample,
        )
        for row in PROBLEMS
        for sample in range(3)
    ]
    lines = [json.loads(line) for line in served.log.read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= len(replies)
    price = load_pool("sim")["reasoner"].price
    for reply, line in zip(replies, lines[-len(replies) :], strict=True):
        bill = price.input_usd_per_mtok * reply.usage.prompt_tokens
        bill += price.output_usd_per_mtok * reply.usage.completion_tokens
        assert Decimal(line["bill_usd"]) == bill / 1_000_000
    texts = [reply.choices[0].message.content or "" for reply in replies]
    assert any(r"\boxed{42}" in text for text in texts[:3])
    assert any(r"\boxed{10}" in text for text in texts[3:])


def test_serve_ends_at_once_when_interrupted(tmp_path: Path) -> None:
    task = write(tmp_path / "task.jsonl", json.dumps(PROBLEMS[0]))
    process = start("pool", "serve", "sim", "--task", task)
    try:
        assert process.stdout is not None
        base_url = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(f"{base_url}/models", timeout=30):
            os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert errors == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "sim", "--task", "no-such-task"],
        ["serve", "no-such-pool"],
        ["optimum", "sim", "--budget", "lots"],
    ],
)
def test_mistakes_end_in_one_line(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, CorlError)
    assert "\n" not in str(result.exception)


def test_a_port_in_use_is_a_mistake_and_no_traceback(served: Served, tmp_path: Path) -> None:
    task = write(tmp_path / "task.jsonl", json.dumps(PROBLEMS[0]))
    port = served.base_url.rpartition(":")[2].partition("/")[0]
    result = invoke("serve", "sim", "--task", task, "--port", port)
    assert isinstance(result.exception, ConfigError)
    assert port in str(result.exception)


def test_the_optimum_stands_beside_trivial_policies(tmp_path: Path) -> None:
    task = write(tmp_path / "task.jsonl", "\n".join(map(json.dumps, PROBLEMS)))
    arguments = ["optimum", "sim", "--task", task, "--max-calls", "2", "--budget", "tiny=0.0006"]
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.exception
    report = json.loads(result.output)
    assert report["simulated"] is True
    (budget,) = report["budgets"]
    assert (budget["budget"], budget["usd"]) == ("tiny", "0.0006")
    best = budget["optimum"]["reward"]
    trivial = {policy["policy"]: policy["reward"] for policy in budget["trivial"]}
    assert {"always nano", "ignoring the budget"} <= set(trivial)
    assert all(reward <= best + 1e-9 for reward in trivial.values())

    shown = invoke(*arguments)
    assert "simulated pool sim" in shown.output
    assert "problems: subjects and levels of " in shown.output
