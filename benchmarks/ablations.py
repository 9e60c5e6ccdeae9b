"""What each part of the algorithm is worth: PPO with one thing changed, on the simulated pool.

Every seed's protocol is taught once, so that whatever follows is the algorithm's doing: of
`quickstart` by random play alone (no counsel), of `general` by a few rehearsals. From there each
variant trains for the same number of episodes with the same seed, and its greedy decisions are
counted against the exact optimum on the test split.

    python benchmarks/ablations.py --seeds 0,1,2 --iterations 16
    python benchmarks/ablations.py --recipe general --only grpo --seeds 0 --out general.jsonl

A minute of CPU a variant and seed, and three of `general`. Lines are written as they come, and a
line that `--out` holds already is not made again.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from corl_bench.tasks import LoadedTask, load_task
from corl_train.config import load_recipe
from corl_train.environment import Environment
from corl_train.evaluation.running import evaluate
from corl_train.learner import Learner
from corl_train.policies.base import Policy
from corl_train.runs.checkpoints import Halfway
from corl_train.runs.interruption import Stop
from corl_train.setup import Setup, new_policy, prepare

SCHEDULE = (
    "reward.kind=gate",  # without fines
    "training.learning_rate=1e-3",
    "training.last_learning_rate=1e-4",
    "training.kl_weight=0.1",
    "training.last_kl_weight=0.005",
    "training.episodes=512",
)
"""For so short a training."""

TAUGHT: Mapping[str, Sequence[str]] = {
    "quickstart": (
        "warm_start.counsel_weight=0",
        "warm_start.rehearsals=0",
        "warm_start.episodes=3072",
        "warm_start.epochs=6",
    ),
    "general": ("variety.rehearsals=4800", "warm_start.epochs=1"),
}
"""By recipe: little more than the protocol."""

VARIANTS: Mapping[str, Sequence[str]] = {
    "base": (),
    "soft reward": ("reward.kind=soft",),
    "no mask": ("training.mask_experts=false",),
    "λ = 0.95, skip": ("training.lam=0.95",),
    "λ = 0.95, walk": ("training.lam=0.95", "training.over=walk"),
    "grpo": ("training.estimator=grpo",),
    "no KL": ("training.kl=none",),
}
"""What is changed; the two at λ = 0.95 belong together, for at 1 both walks are the same."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--recipe", choices=TAUGHT, default="quickstart")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--samples", type=int, default=1, help="episodes of each test problem")
    parser.add_argument("--only", choices=VARIANTS, action="append")
    parser.add_argument("--out", type=Path, default=Path("ablations.jsonl"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for seed in map(int, chosen.seeds.split(",")):
        made = {line["variant"] for line in read_lines(chosen.out) if line["seed"] == seed}
        if todo := [name for name in chosen.only or VARIANTS if name not in made]:
            taught = teach(seed, chosen)
            for name in todo:
                line = {"variant": name, "seed": seed, **measure(name, taught, seed, chosen)}
                with chosen.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print_table(read_lines(chosen.out))


def teach(seed: int, chosen: argparse.Namespace) -> Policy:
    """A policy that knows the protocol."""
    setup = variant("base", chosen)
    policy = new_policy(setup, seed=seed)
    with (
        environment_of(setup, setup.train, policy, seed) as environment,
        tempfile.TemporaryDirectory() as folder,
    ):
        Learner(setup, policy, environment, seed=seed).warm_up(
            Stop(),
            lambda line: print(f"seed {seed}, {line}", file=sys.stderr),
            Halfway(Path(folder), "ablations", time.process_time),
        )
    return policy


def measure(name: str, taught: Policy, seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Trains a copy; shares of the optimum and of violations by budget, and the last entropy."""
    setup, policy = variant(name, chosen), copy.deepcopy(taught)
    with environment_of(setup, setup.train, policy, seed) as environment:
        learner = Learner(setup, policy, environment, seed=seed)
        figures: dict[str, Any] = {}
        while learner.iteration < chosen.iterations:
            figures = learner.step()
            told = f"seed {seed}, {name}: {learner.iteration} of {chosen.iterations}"
            print(f"\r{told}", end="", file=sys.stderr)
    print(file=sys.stderr)
    test = load_task(setup.config.data.test)
    with environment_of(setup, test, policy, seed) as environment:
        evaluation = evaluate(environment, setup.budgets, samples=chosen.samples)
    return {
        "entropy": figures["entropy"],
        "fractions": {b.score.budget: b.fraction for b in evaluation.budgets},
        "violations": {b.score.budget: b.score.violation_rate for b in evaluation.budgets},
    }


def variant(name: str, chosen: argparse.Namespace) -> Setup:
    """The recipe with one thing changed."""
    settings = [*TAUGHT[chosen.recipe], *SCHEDULE, *VARIANTS[name]]
    settings.append(f"training.iterations={chosen.iterations}")
    return prepare(load_recipe(chosen.recipe, settings=settings))


def environment_of(setup: Setup, task: LoadedTask, policy: Policy, seed: int) -> Environment:
    """Where the policy plays a task."""
    return Environment(setup.pool, task, task.problems, setup.controller, policy, seed=seed)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What was measured before."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def print_table(lines: Sequence[dict[str, Any]]) -> None:
    """Means over seeds, with the lowest and the highest."""
    for name in VARIANTS:
        own = [line for line in lines if line["variant"] == name]
        if not own:
            continue
        cells = []
        for budget in own[0]["fractions"]:
            shares = [line["fractions"][budget] for line in own]
            over = mean(line["violations"][budget] for line in own)
            cells.append(
                f"{budget} {mean(shares):6.1%} [{min(shares):.1%}, {max(shares):.1%}]"
                f" over {over:.1%}"
            )
        entropy = mean(line["entropy"] for line in own)
        print(f"{name:16} {'   '.join(cells)}   entropy {entropy:.2f}   {len(own)} seeds")


if __name__ == "__main__":
    main()
