"""What training costs beside the arithmetic of its network: roll-outs, and steps of the school.

Each is measured by CPU time and told beside bare torch on the same tokens: a forward pass of the
sampled conversations for roll-outs, forward and backward passes for the school. Whatever is above
1 is the bench's: the episodes' calls, books and verdicts, sampling turn by turn, targets and
optimiser. Ratios travel; no time is asserted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from corl_bench.money.prices import cheapest_first  # noqa: E402
from corl_train.config import load_recipe  # noqa: E402
from corl_train.environment import Environment, draw_errands  # noqa: E402
from corl_train.policies.base import Policy  # noqa: E402
from corl_train.rollouts import Rollout, pad, split  # noqa: E402
from corl_train.runs.interruption import Stop  # noqa: E402
from corl_train.setup import Setup, new_policy, prepare  # noqa: E402
from corl_train.warmstart.demonstrator import Demonstrator  # noqa: E402
from corl_train.warmstart.knowledge import Knowledge, Lesson  # noqa: E402
from corl_train.warmstart.lessons import School, Targets  # noqa: E402

EPISODES, SAMPLES = 512, 8
ROUNDS = 5


class Classroom:
    """A policy of `quickstart` that was shown demonstrations twice: it can speak, no more."""

    def __init__(self) -> None:
        self.setup: Setup = prepare(load_recipe("quickstart"))
        setup = self.setup
        self.policy: Policy = new_policy(setup, seed=0)
        problems = setup.train.problems
        self.environment = Environment(
            setup.pool, setup.train, problems, setup.controller, self.policy, seed=0
        )
        experts = tuple(expert.name for expert in cheapest_first(setup.pool.experts))
        player = Demonstrator(self.policy, setup.protocol, experts, setup.config.warm_start)
        played = self.roll_out(1, samples=1, policy=player)
        self.lessons: list[Lesson] = Knowledge(played, setup, player).demonstrated()
        self.school = School(player, setup, Random(0), Stop())
        self.targets: list[Targets] = self.school.targets(self.lessons, whole=True)
        for _ in range(2):
            self.teach()

    def roll_out(self, first_sample: int, *, samples: int, **who: Any) -> list[Rollout]:
        errands = draw_errands(
            self.setup.train.problems,
            self.setup.budgets,
            EPISODES,
            samples,
            first_sample=first_sample,
            rng=Random(first_sample),
            share_replies=samples > 1,
        )
        return self.environment.roll_out(errands, temperature=1.0, **who)

    def teach(self) -> float:
        return self.school.teach(self.lessons, self.targets, whole=True)

    def read(self, rollouts: Sequence[Rollout], *, at_once: int) -> Iterator[Any]:
        """The hidden states of the conversations, by bare torch in batches of like length."""
        batch = pad(rollouts)
        for rows in split(batch.lengths.argsort(stable=True), at_once):
            yield self.policy.module(batch.rows(rows).ids)


@pytest.fixture(scope="module")
def classroom() -> Iterator[Classroom]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    room = Classroom()
    with room.environment:
        yield room
    torch.set_num_threads(threads)


@pytest.mark.benchmark(timer=time.process_time)
def test_roll_outs(benchmark: Any, capsys: Any, classroom: Classroom) -> None:
    sampled = classroom.roll_out(1, samples=SAMPLES)
    firsts = iter(range(1 + EPISODES, 1_000_000, EPISODES))

    def bare() -> None:
        with torch.no_grad():
            for _ in classroom.read(sampled, at_once=64):
                pass

    benchmark.pedantic(
        lambda: classroom.roll_out(next(firsts), samples=SAMPLES), rounds=ROUNDS, warmup_rounds=1
    )
    calls = sum(len(rollout.episode.calls) for rollout in sampled)
    what = f"{EPISODES} roll-outs in groups of {SAMPLES} ({calls:,} calls)"
    tell(benchmark, capsys, what, "a bare forward pass of their tokens", bare)


@pytest.mark.benchmark(timer=time.process_time)
def test_an_epoch_of_the_school(benchmark: Any, capsys: Any, classroom: Classroom) -> None:
    rollouts = [lesson.rollout for lesson in classroom.lessons]
    minibatch = classroom.setup.config.warm_start.minibatch

    def bare() -> None:
        for states in classroom.read(rollouts, at_once=minibatch):
            torch.autograd.backward(states.square().mean())

    benchmark.pedantic(classroom.teach, rounds=ROUNDS, warmup_rounds=1)
    what = f"an epoch over {EPISODES} lessons"
    tell(benchmark, capsys, what, "bare forward and backward passes of their tokens", bare)


def tell(benchmark: Any, capsys: Any, what: str, beside: str, theirs: Callable[[], object]) -> None:
    if benchmark.stats is None:  # --benchmark-disable
        return
    spent_s = []
    for _ in range(ROUNDS):
        started_s = time.process_time()
        theirs()
        spent_s.append(time.process_time() - started_s)
    # The least of several: what else a machine does can only add to it.
    ours_s, theirs_s = benchmark.stats.stats.min, min(spent_s)
    ratio = ours_s / theirs_s
    benchmark.extra_info |= {"ours_s": ours_s, "theirs_s": theirs_s, "ratio": round(ratio, 2)}
    with capsys.disabled():
        print(
            f"\n{what}: {ours_s:.3f} CPU-s, {EPISODES / ours_s:,.0f} a CPU-s; {beside}"
            f" {theirs_s:.3f} CPU-s: {ratio:.2f} times as much"
        )
