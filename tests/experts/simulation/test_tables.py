from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool, Sampling
from corl_bench.experts.simulation.draws import outcomes
from corl_bench.experts.simulation.tables import LEVELS, Cell, read_simulation
from corl_bench.types import Problem


def test_the_pool_has_the_experts_of_the_paper_and_the_controllers_own_attempt(
    sim_pool: Pool,
) -> None:
    assert [e.name for e in sim_pool.experts] == ["self", "nano", "mini", "large", "reasoner"]
    assert [e.name for e in sim_pool.experts if e.role == "self"] == ["self"]
    prices = {
        e.name: (str(e.price.input_usd_per_mtok), str(e.price.output_usd_per_mtok))
        for e in sim_pool.experts
    }
    assert prices["nano"] == ("0.1", "0.4") or prices["nano"] == ("0.10", "0.40")
    assert prices["large"] == prices["reasoner"] == ("2", "8")
    assert all("simulated" in e.description and "simulated" in e.model for e in sim_pool.experts)
    assert sim_pool.simulated


def test_the_outcomes_of_every_expert_are_a_distribution_within_its_limit(sim_pool: Pool) -> None:
    simulation = read_simulation(sim_pool)
    for expert in simulation.experts:
        limit = expert.spec.sampling.max_output_tokens
        assert limit is not None
        for level in LEVELS:
            found = outcomes(expert, level, simulation.token_quantum)
            assert sum(o.probability for o in found) == pytest.approx(1, abs=1e-12)
            assert all(0 < o.output_tokens <= limit for o in found)
            assert all(o.reasoning_tokens <= o.output_tokens for o in found)
            # The declared limit cuts only the calls that run away.
            cut = sum(o.probability for o in found if o.kind == "truncated")
            assert cut == pytest.approx(expert.truncated)


def test_stronger_experts_are_dearer_and_subjects_matter_more_than_levels(sim_pool: Pool) -> None:
    simulation = read_simulation(sim_pool)
    means = []
    for expert in simulation.experts:
        rows = list(expert.right.values())
        assert all(list(row) == sorted(row, reverse=True) for row in rows)
        by_level = max(row[0] - row[-1] for row in rows)
        by_subject = max(row[2] for row in rows) - min(row[2] for row in rows)
        assert by_subject >= by_level or expert.name == "reasoner"
        means.append(sum(sum(row) for row in rows) / (5 * len(rows)))
    assert means == sorted(means)


def test_a_problem_without_subject_or_level_falls_back(sim_pool: Pool) -> None:
    simulation = read_simulation(sim_pool)
    bare = Problem(id="1", text="?", answer="1")
    assert simulation.cell(bare) == Cell("Algebra", 3, 6)
    odd = replace(bare, subject="Topology", level=9, kind="choice")
    assert simulation.cell(odd) == Cell("Algebra", 3, 4)
    known = replace(bare, subject="AIME", level=5)
    assert simulation.cell(known) == Cell("AIME", 5, 6)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"trap": 1.5}, "trap"),
        ({"trap": None}, "trap"),
        ({"lengths": [[1.0, 0.5], [2.0, 0.4]]}, "lengths"),
        ({"refusal": 0.6, "no_answer": 0.5}, "refusal"),
        ({"input_tokens": 500}, "input_tokens"),
        ({"answer_tokens": [1, 2, 3]}, "answer_tokens"),
        ({"right": {"Algebra": [0.1] * 5}}, "AIME"),
        ({"rihgt": {}}, "rihgt"),
    ],
)
def test_a_wrong_table_is_named_in_one_line(
    sim_pool: Pool, change: dict[str, Any], names: str
) -> None:
    table = {k: v for k, v in _table(sim_pool, "nano").items() if change.get(k, "") is not None}
    table |= {k: v for k, v in change.items() if v is not None}
    with pytest.raises(ConfigError) as caught:
        read_simulation(_with_table(sim_pool, "nano", table))
    assert names in str(caught.value)
    assert "nano" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pool_without_simulation_or_limits_is_refused(sim_pool: Pool) -> None:
    with pytest.raises(ConfigError, match="no expert has provider = 'simulated'"):
        read_simulation(Pool("empty", ()))
    with pytest.raises(ConfigError, match=r"\[simulation\] is missing"):
        read_simulation(replace(sim_pool, options={}))
    unlimited = tuple(replace(e, sampling=Sampling()) for e in sim_pool.experts)
    with pytest.raises(ConfigError, match="max_output_tokens"):
        read_simulation(replace(sim_pool, experts=unlimited))


def _table(pool: Pool, name: str) -> dict[str, Any]:
    return dict(pool[name].options["simulation"])


def _with_table(pool: Pool, name: str, table: dict[str, Any]) -> Pool:
    experts = tuple(
        replace(e, options={"simulation": table}) if e.name == name else e for e in pool.experts
    )
    return replace(pool, experts=experts)
