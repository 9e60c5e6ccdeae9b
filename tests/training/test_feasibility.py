from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool, Reply
from corl_bench.experts.pools import load_pool
from corl_bench.experts.recording import Attempt, RecordedCall
from corl_bench.experts.store import RecordingStore
from corl_bench.routers.controller import Controller
from corl_bench.tasks import load_task
from corl_bench.types import Budget, Usage
from corl_train.feasibility import (
    Feasible,
    InfeasibleError,
    costs_about,
    costs_at_worst,
    costs_of_recordings,
    costs_of_simulation,
    feasibility,
    own_turn_usd,
    render,
    require_feasible,
)
from servers.experts import expert_at
from training.scripted_policy import controller

COMMAND = [sys.executable, "-m", "corl_train.cli.main", "feasibility"]


def test_declared_costs_are_a_distribution() -> None:
    costs = costs_of_simulation(load_pool("sim"))
    for known in costs.values():
        assert sum(share for _, share in known) == pytest.approx(1)
        assert all(cost > 0 for cost, _ in known)


def test_a_share_counts_the_calls_that_fit() -> None:
    costs = {"a": [(Decimal("0.1"), 0.25), (Decimal("0.3"), 0.75)]}
    (row,) = feasibility([Budget("b", Decimal("0.3"))], costs, max_calls=4)
    assert row.shares == (1.0, 0.25, 0.25, 0)


def test_a_larger_budget_never_fits_less() -> None:
    costs = costs_of_simulation(load_pool("sim"))
    budgets = [Budget(str(n), Decimal(n) / 1000) for n in (0, 1, 5, 20, 100)]
    rows = feasibility(budgets, costs)
    for small, large in zip(rows, rows[len(costs) :], strict=False):
        assert small.expert == large.expert
        assert all(a <= b + 1e-12 for a, b in zip(small.shares, large.shares, strict=True))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 0, "simulated costs"),
        (("--budget", "tiny=0.000001"), 1, "nothing fits"),
        (("--pool", "nosuch"), 2, "nosuch"),
        (("--budget", "none"), 2, "name a budget"),
        (("--recordings", "nosuch.sqlite"), 2, "nosuch.sqlite"),
    ],
)
def test_the_command(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


def test_heads_stand_over_their_columns() -> None:
    rows = [
        Feasible(Budget(name, Decimal(usd)), expert, (1.0, 0.5, 0.0))
        for name, usd in (("a-budget-of-a-long-name", "0.0000001"), ("b", "1"))
        for expert in ("x", "an-expert-of-a-long-name")
    ]
    lines = render(rows, simulated=False).splitlines()
    assert len({len(line) for line in lines}) == 1
    heads = [line for line in lines if "call" in line]
    assert len({line.index("1 call") for line in heads}) == 1


def test_the_table_comes_before_the_training_and_before_the_refusal() -> None:
    pool = load_pool("sim")
    budgets = [Budget("low", Decimal("0.001")), Budget("none", Decimal("0.0000001"))]
    told: list[str] = []
    table = require_feasible(pool, budgets[:1], say=told.append)
    assert "\n".join(told) == table
    assert told[0] == "simulated costs"
    told.clear()
    with pytest.raises(InfeasibleError) as refused:
        require_feasible(pool, budgets, say=told.append)
    assert "\n".join(told) == refused.value.table
    assert "nothing fits" in told[-1]
    message = str(refused.value)
    assert "\n" not in message
    assert "none ($0.0000001)" in message
    assert "low" not in message.split(" fits")[0]
    assert refused.value.exit_code == 2
    assert require_feasible(pool, []) == ""


def test_stored_replies_say_what_calls_cost(tmp_path: Path) -> None:
    pool = Pool("p", (expert_at(None),))
    with RecordingStore.open(tmp_path / "store.sqlite") as store:
        for sample, tokens in enumerate((100, 200, 300)):
            usage = Usage(output_tokens=tokens)
            store.add(
                RecordedCall(
                    *("", sample, 0, "mid", "gpt-4.1", "k"),
                    attempts=(Attempt("ok", usage),),
                    reply=Reply("", usage),
                    origin="imported",
                )
            )
    path = tmp_path / "store.sqlite"
    # $8 a million: $0.0008, $0.0016 and $0.0024.
    table = require_feasible(pool, [Budget("b", Decimal("0.0016"))], recordings=path)
    assert table.splitlines()[-1].split() == ["mid", "66.7%", "33.3%", "0.0%"]
    with pytest.raises(InfeasibleError, match=r"the cheapest call costs \$0\.0008;"):
        require_feasible(pool, [Budget("b", Decimal("0.0007"))], recordings=path)


def test_another_pools_expert_of_the_same_alias_says_nothing(tmp_path: Path) -> None:
    """As replies are found: recorded ones by their model, imported ones by alias, too."""
    pool = Pool("p", (expert_at(None), expert_at(None, name="again")))
    path = tmp_path / "store.sqlite"
    usage = Usage(output_tokens=100)
    with RecordingStore.open(path) as store:
        for model, used in (("simulated", Usage()), ("gpt-4.1", usage)):
            store.add(
                RecordedCall(
                    *(model, 0, 0, "mid", model, "k"),
                    attempts=(Attempt("ok", used),),
                    reply=Reply("", used),
                )
            )
    found = costs_of_recordings(pool, path)
    assert found == {name: [(Decimal("0.0008"), 1.0)] for name in ("mid", "again")}


def test_an_expert_without_recordings_is_looked_at_in_its_worst_case(tmp_path: Path) -> None:
    pool = Pool("half", (expert_at(None), expert_at(None, name="other", model="other")))
    path = tmp_path / "store.sqlite"
    with RecordingStore.open(path) as store:
        usage = Usage(output_tokens=100)
        store.add(
            RecordedCall(
                *("", 0, 0, "mid", "gpt-4.1", "k"),
                attempts=(Attempt("ok", usage),),
                reply=Reply("", usage),
                origin="imported",
            )
        )
    (tmp_path / "sums.jsonl").write_text('{"problem": "What is 1 + 10?", "answer": "11"}\n')
    task = load_task(str(tmp_path / "sums.jsonl"))
    budgets = [Budget("b", Decimal("0.0008"))]
    lines = require_feasible(pool, budgets, task=task, recordings=path).splitlines()
    assert lines[0].startswith("worst cases of other:")
    assert [line.split()[:2] for line in lines[-2:]] == [["mid", "100.0%"], ["other", "0.0%"]]
    with pytest.raises(ConfigError, match="expert 'other' lacks replies in"):
        require_feasible(pool, budgets, recordings=path)


def test_the_controller_s_own_turns_are_counted() -> None:
    pool, task = load_pool("sim"), load_task("synth:test", limit=3)
    budgets = [Budget("low", Decimal("0.000605"))]
    free = require_feasible(pool, budgets, task=task)
    system = controller("digest")

    def at(usd_per_mtok: str) -> Controller:
        usd = Decimal(usd_per_mtok)
        price = replace(system.own_model.price, input_usd_per_mtok=usd, output_usd_per_mtok=usd)
        return replace(system, own_model=replace(system.own_model, price=price))

    turn_usd = own_turn_usd(at("1"), pool, task, budgets[0])
    assert require_feasible(pool, budgets, task=task, controller=at("0.000002")) == free
    # Two turns leave a sixth of the budget for the call.
    dear = f"{Decimal('0.0005') / (2 * turn_usd):.6f}"
    assert require_feasible(pool, budgets, task=task, controller=at(dear)) != free
    dearer = f"{Decimal('0.0007') / (2 * turn_usd):.6f}"
    with pytest.raises(InfeasibleError, match=r"own two turns about \$0\.000[67]\d* by policy"):
        require_feasible(pool, budgets, task=task, controller=at(dearer))


def test_a_live_pool_is_looked_at_in_its_worst_case(tmp_path: Path) -> None:
    pool = Pool("live", (expert_at(None),))
    path = tmp_path / "sums.jsonl"
    path.write_text('{"problem": "What is 1 + 10?", "answer": "11"}\n')
    task = load_task(str(path))
    ((worst, share),) = costs_at_worst(pool, task)["mid"]
    assert share == 1
    # 400 tokens of output at $8 a million, and every byte of the prompt as a token at $2.
    assert Decimal("0.0034") < worst < Decimal("0.0038")
    table = require_feasible(pool, [Budget("b", worst)], task=task)
    assert table.startswith("worst cases")
    assert table.splitlines()[-1].split() == ["mid", "100.0%", "0.0%", "0.0%"]
    # A worst case refuses nothing, for replies may be shorter: a quarter of the limit is expected.
    table = require_feasible(pool, [Budget("b", Decimal("0.0010"))], task=task)
    assert table.splitlines()[-1] == "  no worst case fits: shorter replies may"
    table = require_feasible(pool, [Budget("b", Decimal("0.0008"))], task=task)
    assert "nor one call of about $0.000" in table.splitlines()[-1]
    # Nobody replies to a question that cannot be paid.
    asked = costs_about(pool, task, output_share=0)["mid"]
    assert Decimal("0.00002") < asked < Decimal("0.0001")
    assert require_feasible(pool, [Budget("b", asked)], task=task)
    with pytest.raises(InfeasibleError, match="question of the cheapest call alone costs about"):
        require_feasible(pool, [Budget("b", asked - Decimal("0.000001"))], task=task)
    with pytest.raises(ConfigError, match="--recordings"):
        require_feasible(pool, [Budget("b", worst)])
