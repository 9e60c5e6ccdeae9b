"""The recipe `recorded` on recordings that are made up: train, measure, go on, add an expert."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("torch")

from corl_bench.cli.main import main as bench
from corl_bench.errors import ConfigError
from corl_bench.experts.store import RecordingStore
from corl_bench.experts.trials import RecordedBooth
from corl_bench.metrics.summary import recorded_verdict
from corl_bench.results import read_episodes
from corl_bench.routers.protocol import parse_protocol, read_protocol
from corl_train.config import Config, load_recipe
from corl_train.environment import Environment, Errand
from corl_train.evaluation import evaluate, open_run
from corl_train.experts import Experts
from corl_train.judging import Judging
from corl_train.learner import Learner
from corl_train.policies.base import Speaking
from corl_train.policies.loading import open_policy
from corl_train.rollouts import Transcript, play_out
from corl_train.runs.checkpoints import Checkpoint, Halfway
from corl_train.runs.files import read_metrics
from corl_train.runs.interruption import Stop
from corl_train.setup import WEIGHTS_FOLDER, new_policy, prepare
from corl_train.studies import run_study
from corl_train.studies.study import Options
from corl_train.trainer import train
from corl_train.warmstart import Demonstrator, planning, practice, verdicts_by_turn
from corl_train.warmstart.advice import statements_of
from corl_train.warmstart.advised import Advised
from corl_train.warmstart.budgeting import Budgeted
from corl_train.warmstart.census import take_census
from corl_train.warmstart.demonstrator import results_of
from corl_train.warmstart.difficulty import FIRST_GROUP, SILENT, Jury, Sighting, fit_jury
from corl_train.warmstart.planning import Plan
from corl_train.warmstart.practice import practise
from corl_train.warmstart.rehearsals import converse, draw_sightings
from corl_train.warmstart.shortfall import loses, shortfalls
from training.tiny_runs import figures, weights

pytestmark = pytest.mark.usefixtures("one_thread")

SKILL = {"small": 0.5, "middle": 0.65, "large": 0.8}
PRICES = {"small": "0.1", "middle": "0.3", "large": "6", "newcomer": "0.2"}
PROBLEMS = 40
TINY = (
    *("policy.width=16", "policy.depth=1", "policy.heads=2"),
    *("training.episodes=16", "training.iterations=2", "training.samples=4"),
    *("warm_start.episodes=96", "warm_start.epochs=6", "warm_start.learning_rate=1e-2"),
    *("warm_start.minibatch=8", "schedule.validation_problems=4", "schedule.validate_every=2"),
    *("schedule.checkpoint_every=1", "data.budgets=0.0001,0.001,0.01"),
)


def write_answers(folder: Path, skill: dict[str, float]) -> None:
    """A folder of answers: problems in two halves, and a file for each expert.

    The published verdicts are stricter than any grader: an answer with a sign is wrong.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "problems.jsonl").open("w") as file:
        for number in range(PROBLEMS):
            row = {
                "problem_id": f"p{number}",
                "problem": f"What is {number} plus one?",
                "gold": str(number + 1),
                "split": "train" if number % 2 else "test",
            }
            file.write(json.dumps(row) + "\n")
    for expert, chance in skill.items():
        dice = Random(expert)
        with (folder / f"{expert}.jsonl").open("w") as file:
            for number in range(PROBLEMS):
                is_right = dice.random() < chance
                said = number + 1 if is_right else dice.choice([number, 7000 + dice.randrange(99)])
                text = f"So the answer is \\boxed{{{said}}}." if dice.random() < 0.95 else "Hm."
                row = {
                    "problem_id": f"p{number}",
                    "model": expert,
                    "response_text": text,
                    "prompt_tokens": 20,
                    "completion_tokens": 100 + dice.randrange(50),
                    "token_source": "estimated",
                    "correct_by_source_grader": is_right and text != "Hm." and number != 11,
                }
                file.write(json.dumps(row) + "\n")


def write_pool(path: Path, experts: Sequence[str]) -> Path:
    """Recorded experts, each with its price."""
    text = f'name = "{path.stem}"\n'
    for name in experts:
        price = PRICES.get(name, "0.2")
        text += (
            f'\n[experts.{name}]\nprovider = "recorded"\nmodel = "{name}"\n'
            f'price = {{ input_usd_per_mtok = "{price}", output_usd_per_mtok ='
            f' "{price}", effective_from = 2026-01-01, source = "made up" }}\n'
        )
    path.write_text(text)
    return path


def run_bench(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        bench(list(arguments))
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    write_answers(folder / "answers", SKILL)
    assert not run_bench(
        "recordings", "import", str(folder / "store.sqlite"), str(folder / "answers")
    )
    write_pool(folder / "pool.toml", tuple(SKILL))
    return folder


def config_of(folder: Path, *settings: str) -> Config:
    problems = folder / "answers" / "problems.jsonl"
    halves = (f"data.{name}={problems}:train" for name in ("train", "validation"))
    named = [f"data.pool={folder / 'pool.toml'}", *halves, f"data.test={problems}:test"]
    return load_recipe("recorded", settings=[*TINY, *named, *settings])


@pytest.fixture(scope="module")
def trained(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    told: list[str] = []
    done = train(
        config_of(recordings),
        folder,
        seed=0,
        experts=Experts("replay", recordings=recordings / "store.sqlite"),
        say=told.append,
    )
    assert done.finished and done.best_iteration == 2  # the last one is kept
    assert sum(line.startswith("plan at $") for line in told) == 3
    assert any(line.startswith("rehearsals 96, ") for line in told)
    return folder


@pytest.mark.parametrize(
    ("golds", "settings", "answers"),
    [
        ("7", (), "integer"),
        ("1/2", (), "any"),
        ("7", ("data.answers=protocol",), "any"),
    ],
)
def test_golds_say_of_what_form_an_answer_is(
    recordings: Path, tmp_path: Path, golds: str, settings: tuple[str, ...], answers: str
) -> None:
    problems = tmp_path / "problems.jsonl"
    rows = [
        {"problem_id": f"p{n}", "problem": f"Find number {n}.", "gold": golds, "split": split}
        for n, split in enumerate(("train", "test"))
    ]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = [f"data.{name}={problems}:train" for name in ("train", "validation")]
    own = (*named, f"data.test={problems}:test")
    setup = prepare(config_of(recordings, *own, *settings))
    assert setup.protocol.answers == answers
    # What the controller is handed on with says it, too.
    assert parse_protocol(setup.protocol_text, "here") == setup.protocol


def test_prices_fall_with_the_budget_and_rewards_are_priced(trained: Path) -> None:
    kept = Checkpoint.load(trained)
    assert kept is not None
    assert list(kept.prices) == ["0.0001", "0.001", "0.01"]
    prices = list(kept.prices.values())
    assert prices == sorted(prices, reverse=True) and prices[0] > prices[-1]
    # Of priced episodes some earn less than nothing, which no gate gives.
    scores = [score for line in read_metrics(trained)[1:] for score in line["train"]]
    assert all(score["reward"] <= score["accuracy"] for score in scores)
    assert any(score["reward"] < score["accuracy"] for score in scores)


def test_a_run_that_goes_on_comes_to_the_same(
    recordings: Path, trained: Path, tmp_path: Path
) -> None:
    """Its prices are those of its checkpoint: no census is taken twice."""
    config, seen = config_of(recordings), 0
    experts = Experts("replay", recordings=recordings / "store.sqlite")

    def interrupt(line: str) -> None:
        nonlocal seen
        if line.lstrip().startswith("1  reward"):
            seen += 1
            os.kill(os.getpid(), signal.SIGINT)

    first = train(config, tmp_path / "run", seed=0, experts=experts, say=interrupt)
    assert seen and not first.finished and first.iterations == 1
    told: list[str] = []
    train(config, tmp_path / "run", seed=0, experts=experts, say=told.append)
    assert not any("plan" in line for line in told)
    assert figures(tmp_path / "run") == figures(trained)
    assert weights(tmp_path / "run") == weights(trained)


def test_a_warm_start_that_was_cut_goes_on_where_it_was(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(practice, "ROUND", 64)
    monkeypatch.setattr(practice, "_ROUNDS_TOLD", 1)
    config = config_of(recordings, "warm_start.episodes=256", "training.iterations=1")
    experts = Experts("replay", recordings=recordings / "store.sqlite")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(config, whole, seed=0, experts=experts)

    def hang_up(line: str) -> None:
        if line.startswith("rehearsals 128"):
            signal.raise_signal(signal.SIGTERM)

    assert not train(config, cut, seed=0, experts=experts, say=hang_up).finished
    assert (cut / "warmstart.pt").exists()
    told: list[str] = []
    assert train(config, cut, seed=0, experts=experts, say=told.append).finished
    assert "going on behind 128 rehearsals" in told
    assert not any(line.startswith("rehearsals 128") for line in told)
    assert figures(cut) == figures(whole)
    assert weights(cut) == weights(whole)


def test_measured_by_published_verdicts_and_without_a_limit(
    recordings: Path, trained: Path
) -> None:
    experts = Experts("replay", recordings=recordings / "store.sqlite")
    with open_run(trained, experts=experts) as (environment, budgets):
        evaluation = evaluate(environment, budgets, samples=1)
        errands = [Errand(p, budgets[0], 0) for p in environment.task.problems]
        rollouts = environment.roll_out(errands, temperature=0.0)
    assert [judged.score.budget for judged in evaluation.budgets] == ["0.0001", "0.001", "0.01"]
    for judged in evaluation.budgets:
        assert judged.score.reward == judged.score.accuracy  # what it has cost is no matter
    for rollout in rollouts:
        recorded = recorded_verdict(rollout.episode)
        assert recorded is None or rollout.right == recorded
    assert evaluation.budgets[0].score.accuracy == sum(r.right for r in rollouts) / len(rollouts)


def test_no_conversation_is_taught_more_than_four_times(
    recordings: Path, trained: Path, tmp_path: Path
) -> None:
    """Two experts can be heard in few ways, so most of what is played is not taught again."""
    write_pool(tmp_path / "two.toml", ("small", "middle"))
    told: list[str] = []
    settings = (f"data.pool={tmp_path / 'two.toml'}", "data.budgets=0.00002", "policy.words=0")
    train(
        config_of(recordings, "training.iterations=0", "warm_start.counsel_weight=0.99", *settings),
        tmp_path / "run",
        seed=0,
        experts=Experts("replay", recordings=recordings / "store.sqlite"),
        say=told.append,
    )
    (line,) = (line for line in told if line.startswith("rehearsals"))
    played, taught = map(int, re.findall(r"(\d+)[, ]", line)[:2])
    assert played == 96 and 0 < taught < 48


NINE = {**SKILL, **{f"other-{place}": 0.2 + 0.05 * place for place in range(6)}}


@pytest.mark.parametrize("most_states", [2_000, 100_000])
def test_nine_experts_are_trained_with_as_three_are(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_states: int
) -> None:
    """Plans count on five of them, or ask three at most; the census asks all, in one episode."""
    monkeypatch.setattr(planning, "MOST_STATES", most_states)
    write_answers(tmp_path / "answers", NINE)
    store = tmp_path / "store.sqlite"
    assert not run_bench("recordings", "import", str(store), str(tmp_path / "answers"))
    write_pool(tmp_path / "pool.toml", tuple(NINE))
    settings = []
    if most_states == 100_000:
        protocol = read_protocol("votes").replace("max_calls = 8", "max_calls = 3")
        (tmp_path / "three.toml").write_text(protocol)
        settings = [f"data.protocol={tmp_path / 'three.toml'}"]
    told: list[str] = []
    done = train(
        config_of(tmp_path, "training.iterations=0", *settings),
        tmp_path / "run",
        seed=0,
        experts=Experts("replay", recordings=store),
        say=told.append,
    )
    plans = [line for line in told if line.startswith("plan at $")]
    assert done.finished and len(plans) == 3
    assert all(("it counts on all but" in line) == (most_states == 2_000) for line in plans)


def test_letters_take_pools_that_vary(recordings: Path) -> None:
    with pytest.raises(ConfigError, match=r"'cards' has letters for experts.*take `digest`"):
        prepare(config_of(recordings, "data.protocol=cards"))


@pytest.fixture(scope="module")
def census(recordings: Path, trained: Path) -> list[Sighting]:
    """Taken with a protocol that allows a controller one call."""
    setup = prepare(config_of(recordings))
    protocol = replace(setup.protocol, max_calls=1)
    policy = open_policy(trained / WEIGHTS_FOLDER)
    with Environment(
        setup.pool,
        setup.train,
        setup.train.problems,
        replace(setup.controller, protocol=protocol),
        policy,
        experts=Experts("replay", recordings=recordings / "store.sqlite"),
        judging=Judging("recorded", "mean"),
    ) as environment:
        player = Demonstrator(policy, protocol, tuple(SKILL), setup.config.warm_start)
        return take_census(environment, player, setup.train.problems, setup.budgets[0])


def test_a_census_compares_all_answers_to_a_problem(
    recordings: Path, census: list[Sighting]
) -> None:
    problems = prepare(config_of(recordings)).train.problems
    assert [sighting.problem for sighting in census] == [p.id for p in problems]
    assert all(sighting.is_whole for sighting in census)
    for problem, sighting in zip(problems, census, strict=True):
        said = dict(zip(sighting.state, sighting.answers, strict=True))
        assert all((answer is None) == (code == SILENT) for code, answer in said.items())
        assert len(set(said.values())) == len(said)  # an answer is one group's
        if problem.text == "What is 11 plus one?":
            assert sighting.right == -1  # by the published verdicts
        elif sighting.right >= 0:
            assert said[sighting.right + FIRST_GROUP] == problem.answer


def chosen_by(player: Demonstrator, rng: Random, transcripts: Sequence[Transcript]) -> list[str]:
    """A turn for each conversation, by the player's odds."""
    odds = [player.odds(transcript.texts) for transcript in transcripts]
    return [rng.choices(list(own), list(own.values()))[0] for own in odds]


def test_a_rehearsal_is_about_its_own_problem(
    recordings: Path, trained: Path, census: list[Sighting]
) -> None:
    drawn = Sighting((2, 2, 3), 0, (0.0001, 0.0003, 0.006))
    blind, reading = (prepare(config_of(recordings, f"policy.words={n}")) for n in (0, 50))
    texts = {problem.id: problem.text for problem in blind.train.problems}
    for setup in (blind, reading):
        said = statements_of(setup, Random(0))
        assert [said(seen) for seen in census] == [texts[seen.problem] for seen in census]
        # Whoever reads must not learn that statements mean nothing.
        assert (said(drawn) in texts.values()) if setup is blind else (said(drawn) == "")
    policy = open_policy(trained / WEIGHTS_FOLDER)
    player = Demonstrator(policy, blind.protocol, tuple(SKILL), blind.config.warm_start)
    told = 0
    for seen in census:
        statement = texts[seen.problem]
        conversation = converse(player, blind, blind.budgets[0], seen, statement)
        (rollout,) = play_out([conversation], partial(chosen_by, player, Random(seen.problem)))
        assert statement in rollout.transcript.texts[0]
        for result in results_of(rollout.transcript.texts):
            assert result.reply == seen.answers[list(SKILL).index(result.expert)]
            told += result.reply is not None
    assert told > len(census) / 2


def test_whom_plans_do_not_count_on_may_take_the_last_call(recordings: Path, trained: Path) -> None:
    setup = prepare(config_of(recordings))
    protocol = replace(setup.protocol, max_calls=1)
    plan = Plan(Jury(3), [0.001] * 3, 1, panel=(0, 2)).priced(1e-9)
    policy = open_policy(trained / WEIGHTS_FOLDER)
    advised = Advised(policy, protocol, tuple(SKILL), setup.config.warm_start, {"budget": plan})
    opening = "budget $1\nWhat is 1 plus one?"
    call = advised.call("middle")
    before = advised.advice([opening]).odds
    assert set(before) == {advised.call("small"), advised.call("large")}
    result = '<result expert="middle" number="1" tally="middle">2</result>'
    assert set(advised.advice([opening, call, result]).odds) == {advised.answer("middle")}


def test_advice_points_at_the_first_voice_and_tells_of_every_answer(
    recordings: Path, trained: Path
) -> None:
    """A greedy controller takes the likeliest turn: an answer must not be divided among voices."""
    setup = prepare(config_of(recordings))
    jury = Jury(3)
    plan = Plan(jury, [0.001] * 3, 8).priced(1e-9)
    advised = Advised(
        open_policy(trained / WEIGHTS_FOLDER),
        setup.protocol,
        tuple(SKILL),
        setup.config.warm_start,
        {"budget": plan},
    )
    texts = ["budget $1\nWhat is 1 plus one?"]
    tallies = ("large", "large;middle", "large,small;middle")
    for number, (name, tally) in enumerate(zip(("large", "middle", "small"), tallies, strict=True)):
        result = f'<result expert="{name}" number="{number + 1}" tally="{tally}">2</result>'
        texts += [advised.call(name), result]
    advice = advised.advice(texts)
    assert dict(advice.odds) == {advised.answer("large"): 1.0}
    assert set(advice.beliefs) == {advised.answer("large"), advised.answer("middle")}
    assert advice.beliefs[advised.answer("large")] > 0.99
    small, middle, large = advice.rights
    assert small == large == advice.worth[-1] > middle > 0
    assert all(map(math.isnan, advice.worth[:-1]))
    # Whom to believe is told before it is time to answer, too.
    asked = advised.advice(texts[:3])
    assert set(asked.odds) != {advised.answer("large")}
    assert dict(asked.beliefs) == {advised.answer("large"): 1.0}
    assert math.isnan(asked.rights[0]) and not math.isnan(asked.worth[0])


def test_advice_gives_up_where_another_call_is_not_worth_it(
    recordings: Path, trained: Path
) -> None:
    """Asking on for what a plan would not pay is how a small budget was broken most."""
    setup = prepare(config_of(recordings))
    plan = Plan(Jury(3), [0.001] * 3, 8)
    plans = {"budget $1": plan.priced(10_000.0), "budget $2": plan.priced(1e-9)}
    policy = open_policy(trained / WEIGHTS_FOLDER)
    advised = Advised(policy, setup.protocol, tuple(SKILL), setup.config.warm_start, plans)
    silence = '<result expert="middle" number="1" failed="yes" tally="-"></result>'
    heard = (advised.call("middle"), silence)
    dear, cheap = (advised.advice([f"{begins}\nWhat?", *heard]).odds for begins in plans)
    assert max(dear, key=dear.__getitem__) == advised.answer("middle")
    assert advised.answer("middle") in cheap and max(cheap, key=cheap.__getitem__) in map(
        advised.call, ("small", "large")
    )
    assert advised.answer("middle") not in advised.advice(["budget $1\nWhat?"]).odds
    # Somebody whom the plan does not count on has answered: that is better than silence.
    plans = {"budget $1": Plan(Jury(3), [0.001] * 3, 8, panel=(1, 2)).priced(10_000.0)}
    advised = Advised(policy, setup.protocol, tuple(SKILL), setup.config.warm_start, plans)
    answered = '<result expert="small" number="2" tally="small">7</result>'
    odds = advised.advice(["budget $1\nWhat?", *heard, advised.call("small"), answered]).odds
    assert max(odds, key=odds.__getitem__) == advised.answer("small")


def test_a_call_too_many_ends_a_conversation_and_loses_all_that_was_left(
    recordings: Path, trained: Path, census: list[Sighting]
) -> None:
    setup = prepare(config_of(recordings))
    setup = replace(setup, protocol=replace(setup.protocol, max_calls=2))
    plan = Plan(Jury(3), [0.001] * 3, 2).priced(1e-9)
    policy = open_policy(trained / WEIGHTS_FOLDER)
    begins = {f"budget ${budget.usd}\n": plan for budget in setup.budgets}
    advised = Advised(policy, setup.protocol, tuple(SKILL), setup.config.warm_start, begins)
    turn = advised.call("middle")
    conversation = converse(advised, setup, setup.budgets[0], census[0], "What?")
    (rollout,) = play_out([conversation], lambda transcripts: [turn] * len(transcripts))
    texts = rollout.transcript.texts
    assert texts[1::2] == [turn] * 3 and len(rollout.episode.calls) == 2
    best = advised.advice(texts[:5]).worth[-1]
    assert loses(advised, texts[:5], turn, [0.001] * 3) == best > 0


@pytest.mark.parametrize("own_share", [0.0, 1.0])
def test_a_policy_comes_to_play_as_its_plan_does(
    recordings: Path, census: list[Sighting], own_share: float, tmp_path: Path
) -> None:
    """By what the plan loses by its greedy play; the policy has played itself, or has not."""
    settings = ("warm_start.episodes=4096", f"warm_start.own_share={own_share}")
    wide = ("policy.width=32", "policy.depth=2", "warm_start.epochs=6", "warm_start.minibatch=8")
    setup = prepare(config_of(recordings, *settings, *wide, "warm_start.learning_rate=5e-3"))
    policy = new_policy(setup, seed=0)
    costs_usd = [0.0001, 0.0003, 0.006]
    jury = fit_jury(census)
    plan = Plan(jury, costs_usd, 8)
    prices = dict(zip(setup.budgets, (2000.0, 300.0, 10.0), strict=True))
    plans = {f"budget ${budget.usd}\n": plan.priced(price) for budget, price in prices.items()}
    advised = Advised(policy, setup.protocol, tuple(SKILL), setup.config.warm_start, plans)
    dice = np.random.default_rng(0)
    drawn = draw_sightings(jury, costs_usd, 60, np.random.default_rng(1))
    by_usd = {budget.usd: price for budget, price in prices.items()}
    budgeted = Budgeted(advised, jury, costs_usd, drawn, by_usd)

    def lost() -> float:
        found = shortfalls(budgeted, setup, lambda seen: "What?", rng=Random(0), stop=Stop())
        return max(found.values())

    before = lost()
    practise(
        advised,
        setup,
        lambda number: draw_sightings(jury, costs_usd, number, dice),
        lambda seen: "What?",
        rng=Random(0),
        dice=dice,
        reward=lambda rollout: rollout,
        say=print,
        stop=Stop(),
        halfway=Halfway(tmp_path, "run", lambda: 0.0),
    )
    assert before > 0.1 and lost() < 0.02
    session, how = policy.session(), Speaking(24, setup.protocol.stops, 0.0)

    def choose(transcripts: Sequence[Transcript]) -> list[str]:
        return [said.text for said in session.speak(transcripts, how, [0] * len(transcripts))]

    alike = []
    for budget in setup.budgets:
        played = [converse(advised, setup, budget, seen, "What?") for seen in drawn]
        for rollout in play_out(played, choose):
            texts = rollout.transcript.texts
            for turn in range(1, len(texts), 2):
                odds = advised.advice(texts[:turn]).odds
                alike.append(odds.get(texts[turn], 0.0) > 0.4)
    assert sum(alike) / len(alike) > 0.95


def test_published_verdicts_go_before_ours(recordings: Path, trained: Path) -> None:
    """Problem 11 is wrong by the published verdicts, whatever is said."""
    setup = prepare(config_of(recordings))
    problem = next(p for p in setup.train.problems if p.text == "What is 11 plus one?")
    experts = Experts("replay", recordings=recordings / "store.sqlite")
    verdicts = []
    for judging in (Judging(), Judging("recorded", "mean")):
        with Environment(
            setup.pool,
            setup.train,
            setup.train.problems,
            setup.controller,
            open_policy(trained / WEIGHTS_FOLDER),
            experts=experts,
            judging=judging,
        ) as environment:
            errands = [Errand(problem, setup.budgets[-1], sample) for sample in range(8)]
            rollouts = environment.roll_out(errands, temperature=1.0)
        verdicts.append([r.right for r in rollouts])
        assert all((r.limit_usd is None) == (judging.spend == "mean") for r in rollouts)
        assert all(r.budget_usd == setup.budgets[-1].usd for r in rollouts)
    assert any(verdicts[0]) and not any(verdicts[1])


def test_whatever_looks_at_a_reply_goes_by_the_same_verdicts(
    recordings: Path, trained: Path
) -> None:
    """What answering at once would have earned, whom to believe, and cards."""
    setup = prepare(config_of(recordings))
    (problem,) = (p for p in setup.train.problems if p.text == "What is 11 plus one?")
    policy = open_policy(trained / WEIGHTS_FOLDER)
    found = []
    for judging in (Judging(), Judging("recorded", "mean")):
        with Environment(
            setup.pool,
            setup.train,
            setup.train.problems,
            setup.controller,
            policy,
            experts=Experts("replay", recordings=recordings / "store.sqlite"),
            judging=judging,
        ) as environment:
            learner = Learner(setup, policy, environment, seed=0)
            errands = [Errand(problem, setup.budgets[-1], sample) for sample in range(8)]
            rollouts = environment.roll_out(errands, temperature=1.0)
            looked = [learner._looked_back(rollout) for rollout in rollouts]
        told = [
            v
            for r in rollouts
            for turn in verdicts_by_turn(r, problem, judging)
            for v in turn.values()
        ]
        found.append((any(told), max(map(max, (r.at_once for r in looked)))))
        assert told
    assert found[0][0] and found[0][1] > 0  # by our grader somebody is right
    assert found[1] == (False, 0.0)
    with RecordingStore.open(recordings / "store.sqlite", create=False, read_only=True) as store:
        ours, recorded = (
            RecordedBooth(setup.pool, setup.train, store, verdicts=by).ask("large", problem, 0)
            for by in ("ours", "recorded")
        )
    assert ours is not None and recorded is not None and ours.answer == recorded.answer
    assert ours.right and not recorded.right


NEWCOMER = {"newcomer": 0.97}


@pytest.fixture(scope="module")
def larger(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a newcomer takes: a file of answers, imported, and a price."""
    folder = tmp_path_factory.mktemp("larger")
    shutil.copy(recordings / "store.sqlite", folder / "store.sqlite")
    write_answers(folder / "answers", NEWCOMER)
    assert not run_bench(
        "recordings", "import", str(folder / "store.sqlite"), str(folder / "answers")
    )
    write_pool(folder / "pool.toml", (*SKILL, *NEWCOMER))
    return folder


def test_a_controller_runs_on_a_pool_that_has_grown_and_calls_whom_it_knows(
    larger: Path, trained: Path, tmp_path: Path
) -> None:
    """Its protocol lists nobody, so a newcomer changes nothing of what it reads."""
    code = run_bench(
        *("run", "--task", f"{larger / 'answers' / 'problems.jsonl'}:test"),
        *("--pool", str(larger / "pool.toml"), "--mode", "auto"),
        *("--recordings", str(larger / "store.sqlite"), "--system", f"controller:{trained}"),
        *("--system", "single:*", "--budget", "0.0001,0.01", "--out", str(tmp_path / "out")),
        "--quiet",
    )
    assert not code
    episodes = read_episodes(tmp_path / "out")
    own = [e for e in episodes if e.system.startswith("controller")]
    assert len(own) == 2 * PROBLEMS // 2 and all(e.verdict != "error" for e in own)
    assert {c.expert for e in own for c in e.calls} <= {*SKILL, "recorded-0"}
    assert any(e.system == "single:newcomer" for e in episodes)


def test_a_pool_shift_says_what_a_newcomer_changes(larger: Path, trained: Path) -> None:
    experts = Experts("replay", recordings=larger / "store.sqlite")
    options = Options(
        pools=(str(larger / "pool.toml"),), budgets="0.01", samples=1, experts=experts
    )
    study = run_study("pool-shift", trained, options)
    rows = {row.name: row for row in study.parts[0].rows}
    assert list(rows) == [
        "added newcomer (pool)",
        "as it was",
        *(f"without {name}" for name in SKILL),
        "in another order",
        "all at 0.5 times",
        "all at 2 times",
    ]
    before, grown = rows["as it was"], rows["added newcomer (pool)"]
    assert grown.note == "never calls newcomer" and not before.note
    assert grown.accuracy == before.accuracy and grown.mean_cost_usd == before.mean_cost_usd
    assert rows["in another order"].accuracy == before.accuracy
    # Prices are exactly those that the change is called by; the controller's own turns are free.
    half, double = rows["all at 0.5 times"], rows["all at 2 times"]
    assert half.calls == double.calls == before.calls
    own_usd = 2 * half.mean_cost_usd - before.mean_cost_usd
    assert double.mean_cost_usd == 2 * before.mean_cost_usd - own_usd
    for name in SKILL:
        assert not rows[f"without {name}"].calls.get(name)
    assert all(row.optimum is None for row in rows.values())
    assert "not called before the controller was trained again" in study.notes[-1]
    # The recipe's own verdicts hold, and no budget is a limit of a single episode.
    assert all(row.reward == row.accuracy for row in rows.values())


def test_a_study_notes_what_recordings_lack(
    recordings: Path, trained: Path, tmp_path: Path
) -> None:
    """Of a pool that somebody has changed, too: this newcomer was recorded on the other half."""
    store, answers = tmp_path / "store.sqlite", tmp_path / "answers"
    shutil.copy(recordings / "store.sqlite", store)
    write_answers(answers, {"stranger": 0.9})
    lines = (answers / "stranger.jsonl").read_text().splitlines(keepends=True)
    (answers / "stranger.jsonl").write_text("".join(lines[1::2]))
    assert not run_bench("recordings", "import", str(store), str(answers))
    write_pool(tmp_path / "pool.toml", (*SKILL, "stranger"))
    heard: list[str] = []
    options = Options(
        pools=(str(tmp_path / "pool.toml"),),
        budgets="0.01",
        samples=1,
        limit=2,
        only=("added",),
        experts=Experts("replay", recordings=store),
        say=heard.append,
    )
    *_, last = run_study("pool-shift", trained, options).notes
    assert "have answered 0 of 2 problems" in last and "stranger 0; other calls will fail" in last
    assert heard.count(last) == 1


def test_a_pool_shift_is_at_the_prices_of_the_run(
    recordings: Path, trained: Path, tmp_path: Path
) -> None:
    """o3 cost five times as much before June 2025 as it did later."""
    pool = tmp_path / "dear.toml"
    pool.write_text(
        "\n".join(
            f'[experts.{name}]\nprovider = "recorded"\nmodel = "{name}"\nprice = "openai/o3"'
            for name in SKILL
        )
    )
    experts = Experts("replay", recordings=recordings / "store.sqlite")
    options = Options(
        pools=(str(pool),), budgets="0.01", samples=1, limit=4, only=("changed",), experts=experts
    )
    costs_usd = []
    for day in ("2025-05-01", "2025-07-01"):
        run = tmp_path / day
        shutil.copytree(trained, run)
        kept = json.loads((run / "config.json").read_text())
        kept["inputs"]["price_date"] = day
        (run / "config.json").write_text(json.dumps(kept))
        (row,) = run_study("pool-shift", run, options).parts[0].rows
        assert sum(row.calls.values()) > 0
        costs_usd.append(float(row.mean_cost_usd))
    assert costs_usd[0] == pytest.approx(5 * costs_usd[1], rel=0.01)


def test_a_pool_shift_without_recordings_is_refused(trained: Path) -> None:
    with pytest.raises(ConfigError, match="name them with --recordings FILE"):
        run_study("pool-shift", trained, Options(samples=1))


def test_training_again_takes_nothing_else_and_calls_the_newcomer(
    larger: Path, tmp_path: Path
) -> None:
    """It is nearly always right and costs little, so a plan begins with it."""
    experts = Experts("replay", recordings=larger / "store.sqlite")
    settings = ("training.iterations=0", "warm_start.episodes=192", "data.budgets=0.001")
    train(config_of(larger, *settings), tmp_path / "run", seed=0, experts=experts)
    with open_run(tmp_path / "run", experts=experts) as (environment, budgets):
        (judged,) = evaluate(environment, budgets, samples=1).budgets
    assert judged.score.calls["newcomer"] > 0.5


def test_plans_that_a_protocol_cannot_tell_apart_are_refused(
    recordings: Path, tmp_path: Path
) -> None:
    path = tmp_path / "late.toml"
    text = read_protocol("votes")
    for place, told in (("{budget}\n{problem}", "{problem}\n{budget}"), ("{budget}\n", "{budget}")):
        assert place in text
        path.write_text(text.replace(place, told))
        config = config_of(recordings, f"data.protocol={path}", "data.budgets=0.001,0.0010001")
        experts = Experts("replay", recordings=recordings / "store.sqlite")
        with pytest.raises(ConfigError, match="plans are told apart"):
            train(config, tmp_path / f"run-{len(told)}", seed=0, experts=experts)


def test_what_nobody_has_recorded_is_no_question_of_another_kind(
    recordings: Path, trained: Path
) -> None:
    """All calls would fail, and nothing would be right for nothing."""
    experts = Experts("replay", recordings=recordings / "store.sqlite")
    study = run_study("transfer", trained, Options(samples=1, experts=experts))
    assert not any("everyday" in part.title for part in study.parts)
    assert any("everyday is left out" in note for note in study.notes)
    with pytest.raises(ConfigError, match="has no problem of"):
        run_study("transfer", trained, Options(tasks=("everyday",), samples=1, experts=experts))


def test_an_expert_without_replies_to_the_training_problems_is_named(
    larger: Path, tmp_path: Path
) -> None:
    shutil.copytree(larger, tmp_path / "larger")
    write_pool(tmp_path / "larger" / "pool.toml", (*SKILL, *NEWCOMER, "nobody"))
    experts = Experts("replay", recordings=larger / "store.sqlite")
    with pytest.raises(ConfigError, match="has no reply of nobody"):
        train(config_of(tmp_path / "larger"), tmp_path / "run", seed=0, experts=experts)
