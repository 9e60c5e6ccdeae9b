"""What replaying decisions costs, beside looking every episode up in a plain dictionary."""

from __future__ import annotations

import time
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from corl_bench.results.replay import Recorded, RecordedExperts

EXPERTS, PROBLEMS, ROUTERS = 8, 1_000, 100


def board() -> RecordedExperts:
    draw = Random("board")

    def cell(expert: int) -> Recorded:
        usd = Decimal(draw.randrange(1, 10**6)).scaleb(-10) * (expert + 1)
        return Recorded((draw.random() < 0.1 * expert + 0.2,), (usd,), 0, "metered")

    problems = [f"p{number:04}" for number in range(PROBLEMS)]
    return RecordedExperts("t", {f"e{n}": {p: cell(n) for p in problems} for n in range(EXPERTS)})


@pytest.mark.benchmark(timer=time.process_time)
def test_a_hundred_thousand_episodes(benchmark: Any, capsys: Any) -> None:
    experts = board()
    draw = Random("routers")
    routers = [{p: draw.choice(experts.experts) for p in experts.problems} for _ in range(ROUTERS)]

    def replay_all() -> list[tuple[float, Decimal]]:
        played = (experts.replay(choices, system="s") for choices in routers)
        return [(outcomes.accuracy, outcomes.total_cost_usd) for outcomes in played]

    found = benchmark.pedantic(replay_all, rounds=3, warmup_rounds=1)
    assert found[0][1] == sum(
        experts.by_expert[expert][problem].costs_usd[0] for problem, expert in routers[0].items()
    )
    if benchmark.stats is None:
        return
    started_s = time.process_time()
    for choices in routers:
        _ = [experts.by_expert[expert][problem] for problem, expert in choices.items()]
    lookup_s = time.process_time() - started_s
    ours_s = benchmark.stats.stats.median
    episode_us = 1e6 * ours_s / (ROUTERS * PROBLEMS)
    benchmark.extra_info |= {"us": round(episode_us, 2), "ratio": round(ours_s / lookup_s, 1)}
    with capsys.disabled():
        print(
            f"\nreplay: {episode_us:.2f} µs CPU an episode with verdict and exact dollars,"
            f" {ours_s / lookup_s:.1f} times the lookup alone"
        )
