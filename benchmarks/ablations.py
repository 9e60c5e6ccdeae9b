"""What each part of the algorithm is worth: PPO with one thing changed.

Every seed's protocol is taught once, so that whatever follows is the algorithm's doing: of
`quickstart` by random play alone (no counsel), of the others by a few rehearsals. From there each
variant trains for the same number of episodes with the same seed and plays the test split
greedily. With simulated experts its decisions are counted against the exact optimum; with recorded
ones it is how often it is right, for how many dollars, and what that earns at the plan's prices.

    python benchmarks/ablations.py --seeds 0,1,2 --iterations 16
    python benchmarks/ablations.py --recipe general --only grpo --seeds 0 --out general.jsonl
    python benchmarks/ablations.py --recipe recorded --recordings math-l5.sqlite --out math.jsonl \
        --set data.pool=math-l5.toml --set data.train=problems.jsonl.zst:train …

`--behind` asks the other question, what the algorithm does to a controller that can play: variants
go on from what the warm start of a run came to, with the schedule of its recipe.

    python benchmarks/ablations.py --recipe general --iterations 10 --behind 'runs/general-{seed}'

`digest` and `whole text` are taught anew, each with its own protocol: the recipe's, with four
calls, that shows of a reply its answer, or all of it, to a policy that has words to read it by.
`general` has neither: its own protocol is the digest, and its rehearsals have answers alone. A
minute of CPU a variant and seed, and three of `general`, six behind a run. Lines are written as
they come, and what `--out` holds already of the same recipe, replies and settings is not made
again.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from corl_bench.errors import ConfigError, CorlError
from corl_bench.routers.protocol import read_protocol
from corl_bench.tasks import LoadedTask, load_task
from corl_train.config import load_recipe
from corl_train.environment import Environment
from corl_train.evaluation.judgement import Judged
from corl_train.evaluation.running import evaluate
from corl_train.experts import ANY_EXPERTS, Experts
from corl_train.judging import Judging
from corl_train.learner import Learner
from corl_train.policies.base import Policy
from corl_train.policies.loading import open_policy
from corl_train.runs.checkpoints import Checkpoint, Halfway
from corl_train.runs.interruption import Stop
from corl_train.setup import WEIGHTS_FOLDER, Setup, new_policy, prepare

SCHEDULE = (
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
    "recorded": ("warm_start.episodes=4096", "warm_start.epochs=1", "warm_start.own_share=0"),
}
"""By recipe: little more than the protocol."""

REWARDS: Mapping[str, str] = {"recorded": "reward.kind=mean"}
"""Of recipes whose budgets hold on average; of the others the gate, without fines."""

# Problems that a plan draws have no text, and what has no word is no text to the policy.
_SHOWN = ("warm_start.drawn_share=0", "policy.words=400")

VARIANTS: Mapping[str, Sequence[str]] = {
    "base": (),
    "soft reward": ("reward.kind=soft",),
    "no mask": ("training.mask_experts=false",),
    "λ = 0.95, skip": ("training.lam=0.95",),
    "λ = 0.95, walk": ("training.lam=0.95", "training.over=walk"),
    "grpo": ("training.estimator=grpo",),
    "no KL": ("training.kl=none",),
    "digest": _SHOWN,
    "whole text": (*_SHOWN, "policy.context=2048"),
}
"""What is changed; the two at λ = 0.95 belong together, for at 1 both walks are the same, and so do
the last two."""

UNTRAINED = "warm start"
"""What the variants behind a run begin with, measured like them."""

SHOWS: Mapping[str, str] = {"digest": "answer", "whole text": "text"}
"""What the protocol shows of a reply, in variants that have one of their own."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--recipe", choices=TAUGHT, default="quickstart")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--samples", type=int, default=1, help="episodes of each test problem")
    parser.add_argument("--only", choices=VARIANTS, action="append")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--recordings", type=Path, help="a store of replies; nobody else is asked")
    parser.add_argument(
        "--behind", metavar="RUN", help="go on from its warm start; {seed} stands for the seed"
    )
    parser.add_argument("--out", type=Path, default=Path("ablations.jsonl"))
    chosen = parser.parse_args()
    names = chosen.only or [*VARIANTS]
    if chosen.behind is not None or chosen.recipe == "general":
        if set(chosen.only or ()) & set(SHOWS):
            parser.error(f"{' and '.join(SHOWS)} are taught anew, and not for general or --behind")
        names = [name for name in names if name not in SHOWS]
    if chosen.behind is not None:
        names.insert(0, UNTRAINED)
    what = {
        **{name: getattr(chosen, name) for name in ("recipe", "iterations", "samples", "behind")},
        "set": chosen.settings,
        "recordings": chosen.recordings and str(chosen.recordings),
    }
    torch.set_num_threads(1)
    for seed in map(int, chosen.seeds.split(",")):
        lines = read_lines(chosen.out, what)
        made = {line["variant"] for line in lines if line["seed"] == seed}
        taught: Taught | None = None
        for name in names:
            if name in made:
                continue
            with tempfile.TemporaryDirectory() as folder:
                bench = Bench(chosen, seed, Path(folder))
                if name in SHOWS:
                    figures = bench.measure(name, bench.teach(name))
                else:
                    taught = taught or bench.begin()
                    figures = bench.measure(name, taught)
            line = {**what, "variant": name, "seed": seed, **figures}
            with chosen.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print_table(read_lines(chosen.out, what))


@dataclass(frozen=True, slots=True)
class Taught:
    """A policy that knows the protocol."""

    policy: Policy
    prices: Mapping[Decimal, float]
    """What a dollar is worth by its plan, by the budget's dollars; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where variants are taught and measured."""

    chosen: argparse.Namespace
    seed: int
    folder: Path
    """For what is only written to be read again."""

    def begin(self) -> Taught:
        """What the variants of one protocol begin with."""
        if self.chosen.behind is None:
            return self.teach("base")
        folder = Path(self.chosen.behind.replace("{seed}", str(self.seed)))
        kept = Checkpoint.load(folder)
        if kept is None:
            raise ConfigError(f"{folder} holds no training run: name one with --behind")
        policy = open_policy(folder / WEIGHTS_FOLDER)
        policy.module.load_state_dict(kept.reference)
        return Taught(policy, {Decimal(usd): price for usd, price in kept.prices.items()})

    def teach(self, name: str) -> Taught:
        """What a variant begins with that is taught by its own recipe."""
        setup = self.variant(name)
        policy = new_policy(setup, seed=self.seed)
        with self.playing(setup, setup.train, policy) as environment:
            learner = Learner(setup, policy, environment, seed=self.seed)
            learner.warm_up(
                Stop(),
                lambda line: print(f"seed {self.seed}, {line}", file=sys.stderr),
                Halfway(self.folder, "ablations", time.process_time),
            )
        return Taught(policy, learner.prices)

    def measure(self, name: str, taught: Taught) -> dict[str, Any]:
        """Trains a copy: figures by budget, and the last entropy."""
        setup, policy = self.variant(name), copy.deepcopy(taught.policy)
        with self.playing(setup, setup.train, policy) as environment:
            learner = Learner(setup, policy, environment, seed=self.seed)
            learner.set_prices(taught.prices)
            line: dict[str, Any] = {}
            while name != UNTRAINED and learner.iteration < self.chosen.iterations:
                line = learner.step()
                told = f"seed {self.seed}, {name}: {learner.iteration} of {self.chosen.iterations}"
                print(f"\r{told}", end="", file=sys.stderr)
        print(file=sys.stderr)
        test = load_task(setup.config.data.test)
        with self.playing(setup, test, policy) as environment:
            evaluation = evaluate(environment, setup.budgets, samples=self.chosen.samples)
        return {
            "entropy": line.get("entropy"),
            "by_budget": {
                judged.score.budget: figures_of(judged, taught.prices.get(budget.usd))
                for judged, budget in zip(evaluation.budgets, setup.budgets, strict=True)
            },
        }

    def variant(self, name: str) -> Setup:
        """The recipe with one thing changed."""
        recipe = self.chosen.recipe
        settings = [
            *((*TAUGHT[recipe], *SCHEDULE) if self.chosen.behind is None else ()),
            REWARDS.get(recipe, "reward.kind=gate"),
            *self.chosen.settings,
            *VARIANTS.get(name, ()),
            f"training.iterations={self.chosen.iterations}",
        ]
        if name in SHOWS:
            settings.append(f"data.protocol={self.protocol(SHOWS[name])}")
        return prepare(load_recipe(recipe, settings=settings))

    def protocol(self, shows: str) -> Path:
        """The recipe's own, with four calls, and with something else of a reply."""
        text = read_protocol(load_recipe(self.chosen.recipe).data.protocol)
        for key, value in (("max_calls", 4), ("shows", json.dumps(shows))):
            text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        path = self.folder / f"{shows}.toml"
        path.write_text(text)
        return path

    def playing(self, setup: Setup, task: LoadedTask, policy: Policy) -> Environment:
        """Where the policy plays a task."""
        return Environment(
            setup.pool,
            task,
            task.problems,
            setup.controller,
            policy,
            experts=experts_of(self.chosen),
            seed=self.seed,
            judging=Judging.of_recipe(setup.config.data),
        )


def experts_of(chosen: argparse.Namespace) -> Experts:
    """Who is asked."""
    if chosen.recordings is None:
        return ANY_EXPERTS
    return Experts(mode="replay", recordings=chosen.recordings)


def figures_of(judged: Judged, price: float | None) -> dict[str, float]:
    """What is told of a variant at a budget, the most telling figure first."""
    score = judged.score
    if price is None:
        return {"of the optimum": judged.fraction or 0.0, "over": score.violation_rate}
    usd = float(score.mean_cost_usd)
    return {"earned": score.accuracy - price * usd, "right": score.accuracy, "usd": usd}


def read_lines(path: Path, what: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was measured before, of the same recipe with the same settings."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if all(line.get(key) == what[key] for key in what)]


def print_table(lines: Sequence[dict[str, Any]]) -> None:
    """Means over seeds; of the first figure the lowest and the highest, too."""
    for name in (UNTRAINED, *VARIANTS):
        own = [line for line in lines if line["variant"] == name]
        if not own:
            continue
        entropies = [line["entropy"] for line in own if line["entropy"] is not None]
        entropy = f", entropy {mean(entropies):.2f}" if entropies else ""
        print(f"{name}, {len(own)} seeds{entropy}")
        for budget, first in own[0]["by_budget"].items():
            cells = []
            for figure in first:
                several = [line["by_budget"][budget][figure] for line in own]
                cells.append(f"{figure} {shown(figure, mean(several))}")
                if len(cells) == 1:
                    cells[0] += f" [{shown(figure, min(several))}, {shown(figure, max(several))}]"
            print(f"  {budget:10} {'   '.join(cells)}")


def shown(figure: str, value: float) -> str:
    """A share or dollars."""
    return f"${value:.5f}" if figure == "usd" else f"{value:.1%}"


if __name__ == "__main__":
    try:
        main()
    except CorlError as error:
        print(f"ablations: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
