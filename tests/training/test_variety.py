"""Pools and budgets that vary: what is drawn, rehearsed, foreseen and taught."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.cards import Card
from corl_bench.experts.pools import load_pool
from corl_bench.experts.simulation.optimum import cells_of, optimum
from corl_bench.experts.trials import Heard
from corl_bench.routers.outlook import lettered
from corl_bench.routers.protocol import read_protocol
from corl_bench.tasks import load_task
from corl_bench.types import Budget, Problem
from corl_train.config import Config, load_recipe
from corl_train.environment import Environment, Errand, draw_errands
from corl_train.evaluation.scores import rewarded
from corl_train.rollouts import Rollout
from corl_train.setup import Setup, new_policy, prepare
from corl_train.studies import budget_sweep, pool_shift
from corl_train.studies.study import Options
from corl_train.trainer import train
from corl_train.variety import warming
from corl_train.variety.errands import under_nearest, varied
from corl_train.variety.family import draw_family, pool_of, repriced
from corl_train.variety.foresight import Foresight
from corl_train.variety.manners import Manners
from corl_train.variety.own_play import OwnPlay
from corl_train.variety.rehearsals import Cue, Foreseen, Rehearsal, Stage, call_turn
from corl_train.variety.school import School
from training.scripted_policy import ScriptedPolicy
from training.tiny_runs import figures, weights

SMALL = (
    *("policy.width=16", "policy.depth=1", "policy.heads=2", "policy.words=50"),
    *("variety.family=4", "variety.most=4", "variety.trials=6", "variety.rehearsals=48"),
    *("variety.pools=2", "training.episodes=16", "training.iterations=2", "training.epochs=1"),
    *("training.minibatch=16", "training.micro_batch=16", "warm_start.epochs=1"),
    *("warm_start.minibatch=8", "policy.usd_per_mtok=0"),
    *("schedule.validation_problems=3", "schedule.validate_every=2", "schedule.checkpoint_every=1"),
)
SIM = load_pool("sim")
HELD_OUT = ("0.00075", "0.0012", "0.0018", "0.0028", "0.0044", "0.0069", "0.011", "0.017")
NAIVE = Manners(wrong_answers=5.0, steadiness=1.0)


def recipe(*settings: str) -> Config:
    return load_recipe("general", settings=[*SMALL, *settings])


@pytest.fixture(scope="module")
def setup() -> Setup:
    return prepare(recipe())


@pytest.fixture(scope="module")
def stage(setup: Setup) -> Stage:
    assert setup.world is not None
    return Stage(setup.world.booth, setup.protocol, setup.train.problems[::7], setup.world.manners)


@pytest.fixture(scope="module")
def rehearsals(setup: Setup, stage: Stage) -> list[Rehearsal]:
    assert setup.world is not None
    rng = Random(1)
    return [
        rehearsal
        for _ in range(3)
        for rehearsal in stage.rehearse(setup.world.draw_pool(rng), Decimal("0.01"), 8, rng)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("general")
    train(recipe(), folder, seed=0)
    return folder


def test_of_every_drawn_pool_the_optimum_is_known() -> None:
    family = draw_family(SIM, 3, Random(4))
    cheaper = [repriced(expert, 0.37) for expert in family]
    pool = pool_of("drawn", [SIM["nano"], *cheaper], SIM)
    report = optimum(
        pool,
        dict.fromkeys(list(cells_of(SIM, load_task("synth:test").problems))[:2], 1.0),
        [Budget("b", Decimal("0.002"))],
        max_calls=2,
    )
    assert report.tick_usd % Decimal("0.000004") == 0
    assert 0 < report.budgets[0].optimum.reward < 1


def test_a_family_follows_from_its_dice_and_its_names_tell_nothing() -> None:
    first, again = (draw_family(SIM, 5, Random(4)) for _ in range(2))
    assert first == again
    assert [expert.name for expert in first] == [f"x00{n}" for n in range(5)]
    assert len({expert.description for expert in first}) == 1


def test_a_world_draws_pools_of_all_kinds_and_no_budget_that_is_held_out(setup: Setup) -> None:
    world = setup.world
    assert world is not None
    rng = Random(0)
    pools = [world.draw_pool(rng) for _ in range(40)]
    assert {len(pool.experts) for pool in pools} == {2, 3, 4}
    assert all(expert.card is not None for pool in pools for expert in pool.experts)
    prices = {
        expert.price.output_usd_per_mtok
        for pool in pools
        for expert in pool.experts
        if expert.name == "nano"
    }
    assert len(prices) > 3
    held_out = {Decimal(usd) for usd in world.table.held_out_usd}
    drawn = {world.draw_budget(rng).usd for _ in range(2000)}
    assert not drawn & held_out
    assert min(drawn) == Decimal("0.0006")
    assert max(drawn) == Decimal("0.02")
    assert len(drawn) > 120


def test_pools_that_vary_need_a_protocol_with_letters_and_answers(tmp_path: Path) -> None:
    texts = tmp_path / "texts.toml"
    texts.write_text(read_protocol("cards").replace('shows = "answer"', 'shows = "text"'))
    with pytest.raises(ConfigError, match='set shows = "answer" in it'):
        prepare(recipe(f"data.protocol={texts}"))
    with pytest.raises(ConfigError, match="letters"):
        prepare(recipe("data.protocol=digest"))


def test_foresight_weighs_money_and_agreement() -> None:
    cards = {
        "A": Card({"": 0.6}, 0.0, ((80, 100),), 100),
        "B": Card({"": 0.7}, 0.0, ((80, 100),), 100),
        "C": Card({"": 0.9}, 0.0, ((80, 100),), 100),
    }
    costs_usd = {"A": (0.001,), "B": (0.001,), "C": (0.004,)}
    plan = Foresight(cards, costs_usd, [""], NAIVE, horizon_usd=0.01, max_calls=4)
    start = plan.worth("", (), 0.01)
    assert start[None] == 0
    # With 0.0015 left nothing but one cheap call is to be had, and the better one is worth more.
    poor = plan.worth("", (), 0.0015)
    assert poor["A"] == pytest.approx(0.6)
    assert poor["B"] == pytest.approx(0.7)
    assert poor["C"] == 0
    assert start["B"] > poor["B"]
    # Two that agree are right more probably than the better of them: naive Bayes by hand.
    agreed = plan.worth("", (("A", "7"), ("B", "7")), 0.0)
    right, wrong = 0.6 * 0.7, 5 * (0.4 / 5) * (0.3 / 5)
    assert agreed[None] == pytest.approx(right / (right + wrong))
    answers = plan.answers("", (("A", "7"), ("B", "8"), ("C", "7")))
    assert answers["A"] == answers["C"] > answers["B"]
    assert plan.answers("", (("A", None),)) == {}
    assert set(plan.answers("", (("A", "7"), ("B", None)))) == {"A"}
    assert max(plan.worth("", (("A", "7"),), -0.001).values()) == 0


def test_a_rehearsal_is_word_for_word_what_an_episode_would_be(setup: Setup, stage: Stage) -> None:
    world = setup.world
    assert world is not None
    rng = Random(5)
    pool = world.draw_pool(rng)
    rehearsed: list[tuple[str, int]] = []

    class Listening:
        """Notes which draw of which problem a rehearsal is about."""

        def ask(self, expert: str, problem: Problem, sample: int, again: int = 0) -> Heard | None:
            rehearsed.append((problem.id, sample))
            return world.booth.ask(expert, problem, sample, again)

    listening = replace(stage, booth=Listening())
    told = []
    while len(told) < 6:
        before = len(rehearsed)
        (rehearsal,) = listening.rehearse(pool, Decimal("0.02"), 1, rng)
        told.append((rehearsal, rehearsed[before]))
    by_id = {problem.id: problem for problem in setup.train.problems}
    for rehearsal, (problem_id, sample) in told:
        line = rehearsal.texts[0].partition("\n")[0]
        usd = Decimal(line.removeprefix("budget $"))
        said = list(rehearsal.texts[1::2])
        policy = ScriptedPolicy(partial(_next_of, said))
        with Environment(
            *(pool, setup.train, setup.train.problems, setup.controller, policy)
        ) as environment:
            (rollout,) = environment.roll_out(
                [Errand(by_id[problem_id], Budget(f"{usd:f}", usd), sample)], temperature=0.0
            )
        assert rollout.transcript.texts == list(rehearsal.texts)


def _next_of(said: Sequence[str], texts: Sequence[str]) -> str:
    return said[len(texts) // 2]


def test_school_teaches_what_foresight_says(setup: Setup, rehearsals: list[Rehearsal]) -> None:
    policy = new_policy(setup, seed=0)
    subjects = sorted({problem.subject or "" for problem in setup.train.problems})
    how = setup.config.warm_start
    school = School(policy, setup.protocol, subjects, how, heat=0.015)
    drills = [school.drill(rehearsal) for rehearsal in rehearsals]
    for drill, rehearsal in zip(drills, rehearsals, strict=True):
        assert [len(target) > 0 for target in drill.targets] == [True] * len(rehearsal.advice)
        for target in drill.targets:
            assert sum(target.values()) == pytest.approx(1)
    before = school.examine(drills)
    for epoch in range(25):
        school.teach(drills, rate=1e-2, rng=Random(epoch))
    after = school.examine(drills)
    assert after.loss < before.loss / 2
    assert after.regret < before.regret


@pytest.mark.usefixtures("one_thread")
def test_own_play_says_what_the_policy_would(setup: Setup, stage: Stage) -> None:
    """Taught to call one expert until it may not, it is what is rehearsed, and nobody's advice."""
    assert setup.world is not None
    policy = new_policy(setup, seed=0)
    letter = call_turn(setup.protocol, "B")
    (token,) = policy.spell(letter, setup.protocol.stops)
    subjects = sorted({problem.subject or "" for problem in setup.train.problems})
    school = School(policy, setup.protocol, subjects, setup.config.warm_start, heat=0.015)
    pool = setup.world.draw_pool(Random(3))
    drills = [
        replace(school.drill(made), targets=({token: 1.0},) * len(made.advice))
        for made in stage.rehearse(pool, Decimal("0.01"), 24, Random(0))
    ]
    for epoch in range(12):
        school.teach(drills, rate=1e-2, rng=Random(epoch))
    own_play = OwnPlay(policy, setup.protocol, temperature=0.0)
    for made in stage.rehearse(pool, Decimal("0.01"), 8, Random(1), chooser=own_play):
        turns = made.texts[1::2]
        assert set(turns[:-1]) == {letter}
        assert len(turns) == setup.protocol.max_calls + 1
        drill = school.drill(made)
        mask = torch.zeros(1, len(drill.ids))
        mask[0, list(drill.own)] = 1.0
        with torch.no_grad():
            scores = policy.score(torch.tensor([drill.ids]), mask).distributions
        assert scores is not None
        assert scores[:-1].argmax(dim=1).tolist() == [token] * setup.protocol.max_calls
        # What was said is the policy's, what is taught is foresight's.
        assert [len(advice.worth) for advice in made.advice[:-1]] == [
            len(pool.experts) + 1
        ] * setup.protocol.max_calls


def test_own_play_that_says_no_turn_follows_advice(setup: Setup) -> None:
    policy: Any = ScriptedPolicy(lambda texts: "hm")
    own_play = OwnPlay(policy, setup.protocol, temperature=0.0)
    advice = Foreseen({None: 0.2, "A": 0.1, "B": 0.7}, {"A": 0.2})
    cues = [Cue(place, [f"Problem {place}?"], advice, ()) for place in range(2)]
    assert own_play.choose(cues, Random(0)) == ["B", "B"]
    further = replace(cues[1], texts=[*cues[1].texts, call_turn(setup.protocol, "B"), "a reply"])
    assert own_play.choose([further], Random(0)) == ["B"]
    assert policy.batches == [["Problem 0?", "Problem 1?"], ["Problem 1?"]]


def test_groups_get_a_pool_and_a_budget_of_their_own(setup: Setup) -> None:
    assert setup.world is not None
    plain = draw_errands(setup.train.problems, setup.budgets, 32, 4, first_sample=1, rng=Random(0))
    errands = varied(plain, setup.world, Random(0))
    by_group = {
        group: {(id(e.pool), e.budget) for e in errands if e.group == group} for group in range(8)
    }
    assert all(len(several) == 1 for several in by_group.values())
    assert len({pool for several in by_group.values() for pool, _ in several}) == 2
    assert len({budget for several in by_group.values() for _, budget in several}) == 8


def test_a_batch_may_have_several_pools(setup: Setup) -> None:
    assert setup.world is not None
    problem = setup.train.problems[0]
    pools = [pool_of(name, [setup.pool[name]], SIM) for name in ("nano", "reasoner")]
    policy = ScriptedPolicy(
        lambda texts: '<answer from="A"/>' if len(texts) > 1 else '<call expert="A"></call>'
    )
    with Environment(
        *(setup.pool, setup.train, setup.train.problems, setup.controller, policy)
    ) as environment:
        rollouts = environment.roll_out(
            [
                Errand(problem, setup.budgets[-1], sample, pool=pool)
                for sample, pool in enumerate(pools)
            ],
            temperature=0.0,
        )
    asked = [[c.expert for c in r.episode.calls if c.role == "expert"] for r in rollouts]
    assert asked == [["nano"], ["reasoner"]]


def test_a_varied_budget_counts_under_the_nearest_name(setup: Setup) -> None:
    with open_environment(setup) as environment:
        (rollout,) = environment.roll_out(
            [Errand(setup.train.problems[0], Budget("0.0024", Decimal("0.0024")), 0)],
            temperature=0.0,
        )
    moved = under_nearest(rewarded(rollout), setup.budgets)
    assert isinstance(moved, Rollout)
    assert moved.episode.budget == "0.0022"
    assert moved.budget_usd == Decimal("0.0024")


def open_environment(setup: Setup) -> Environment:
    policy = ScriptedPolicy(lambda texts: "<answer>1</answer>")
    return Environment(*(setup.pool, setup.train, setup.train.problems, setup.controller, policy))


def test_letters_are_the_listing_that_the_controller_is_shown(setup: Setup) -> None:
    infos = [ExpertInfo.of(expert) for expert in setup.pool.experts]
    opening = setup.controller.opening("How many?", setup.budgets[0], infos)
    letters = lettered(infos)
    assert [line[0] for line in opening.splitlines()[-5:]] == list(letters)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("cut_at", ["rehearsals 16", "   1 "])
def test_a_run_that_is_cut_comes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_at: str
) -> None:
    monkeypatch.setattr(warming, "ROUND", 16)
    monkeypatch.setattr(warming, "_ROUNDS_TOLD", 1)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(recipe(), whole, seed=0)

    def hang_up(line: str) -> None:
        if line.startswith(cut_at):
            signal.raise_signal(signal.SIGTERM)

    stopped = train(recipe(), cut, seed=0, say=hang_up)
    assert not stopped.finished
    assert (cut / "warmstart.pt").exists() == (cut_at == "rehearsals 16")
    said: list[str] = []
    assert train(recipe(), cut, seed=0, say=said.append).finished
    assert any(line.startswith("going on behind") for line in said)
    assert not any(line.startswith("rehearsals 16") for line in said)
    assert not (cut / "warmstart.pt").exists()
    assert figures(cut) == figures(whole)
    assert weights(cut) == weights(whole)
    assert (cut / "cards.toml").read_bytes() == (whole / "cards.toml").read_bytes()


def test_rehearsals_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    said: list[str] = []
    train(recipe("policy.context=160"), tmp_path / "short", seed=0, say=said.append)
    assert any("did not fit into a context of 160 tokens" in line for line in said)
    with pytest.raises(ConfigError, match=r"no rehearsal fits .* raise policy\.context"):
        train(recipe("policy.context=64", "variety.fewest=4"), tmp_path / "none", seed=0)


def test_the_sweep_plays_what_was_held_out(run: Path) -> None:
    study = budget_sweep.run(run, Options(samples=1, limit=2))
    rows = study.parts[0].rows
    assert study.parts[0].title == "Dollars that no episode of the training had"
    assert [row.budget for row in rows] == sorted(HELD_OUT, key=Decimal)
    assert all(row.optimum and row.optimum > 0.2 for row in rows)
    shares = [row.fraction or 0.0 for row in rows]
    assert f"{sum(shares) / len(shares):.1%}" in study.notes[0]
    other = budget_sweep.run(run, Options(samples=1, limit=1, budgets="0.003"))
    assert "whether or not" in other.parts[0].title
    assert [row.budget for row in other.parts[0].rows] == ["0.003"]


def test_a_sweep_needs_amounts(run: Path, tmp_path: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    shutil.copytree(run, tmp_path / "other")
    del config["variety"]["held_out_usd"]
    (tmp_path / "other" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="holds out no budgets"):
        budget_sweep.run(tmp_path / "other", Options(limit=1))


def test_shifts_change_the_pool_and_are_measured_against_the_new_one(run: Path) -> None:
    kinds = [pool.name for pool in pool_shift.shifts_of(SIM, seed=0)]
    assert len(kinds) == len(set(kinds)) == 11
    only = ("renamed", "without nano")
    study = pool_shift.run(run, Options(samples=1, limit=2, budgets="0.002", only=only))
    without, renamed = study.parts[0].rows
    same = budget_sweep.run(run, Options(samples=1, limit=2, budgets="0.002"))
    # Whoever goes by another name is the same to the controller, and so is the best that it can.
    assert renamed.optimum == pytest.approx(same.parts[0].rows[0].optimum)
    assert (renamed.optimum or 0) > (without.optimum or 0)
    with pytest.raises(ConfigError, match="no change begins with nothing"):
        pool_shift.run(run, Options(only=("nothing",)))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("variety.least_usd=0.5", "least_usd is 0.5, and largest_usd 0.02"),
        ("variety.largest_usd=0.0001", "largest_usd 0.0001"),
        ("variety.least_usd=-1", "variety: least_usd: amount '-1'"),
        ('variety.held_out_usd=["x"]', "variety: held_out_usd: x: amount 'x'"),
    ],
)
def test_amounts_that_are_none_are_named_before_anything_is_measured(
    setting: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        recipe(setting)


def test_large_budgets_are_rehearsed_as_often_as_others(setup: Setup) -> None:
    """What plans serve is drawn so: budgets themselves would leave a twentieth above $0.011."""
    assert setup.world is not None
    world, rng = setup.world, Random(0)
    least, largest = Decimal(world.table.least_usd), Decimal(world.table.largest_usd)
    stage = Stage(world.booth, setup.protocol, (), world.manners, least_usd=least)
    drawn = [stage.draw_budget(world.draw_horizon(rng), rng).usd for _ in range(4_000)]
    assert all(least <= usd <= largest for usd in drawn)
    evenly = math.log(0.02 / 0.011) / math.log(0.02 / 0.0006)
    assert sum(usd >= Decimal("0.011") for usd in drawn) / len(drawn) > 0.7 * evenly
