"""Whole runs on experts that are not simulated in process: recorded ones, and live ones that bill.

Both say what the simulation says, so that a small controller can learn from them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch")

from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.simulation.provider import SimulatedProvider
from corl_bench.experts.simulation.served_pool import served_pool_toml
from corl_bench.experts.simulation.server import build_app
from corl_bench.experts.store import RecordingStore
from corl_bench.money.ledger import read_ledger
from corl_bench.runs.directory import lock_directory
from corl_bench.serving import listening
from corl_bench.tasks import load_task
from corl_bench.types import Budget, Problem
from corl_train.cli.main import main
from corl_train.config import Config
from corl_train.coverage import require_covered
from corl_train.environment import draw_errands
from corl_train.evaluation import open_run
from corl_train.experts import Experts
from corl_train.runs.checkpoints import Checkpoint
from corl_train.runs.files import read_metrics, read_samples
from corl_train.setup import prepare
from corl_train.trainer import train
from servers.threads import in_thread
from training.tiny_runs import figures, recipe, weights

pytestmark = pytest.mark.usefixtures("one_thread")

SIMULATED = load_pool("sim")
PROBLEMS = load_task("synth:train", limit=6).problems
"""What is trained and validated on."""
TESTED = load_task("synth:test", limit=4).problems
DRAWS = 3


def write_problems(path: Path, problems: Sequence[Problem]) -> Path:
    path.write_text(
        "".join(
            json.dumps(
                {
                    "problem": problem.text,
                    "answer": problem.answer,
                    "subject": problem.subject,
                    "level": problem.level,
                }
            )
            + "\n"
            for problem in problems
        )
    )
    return path


def tiny(folder: Path, pool: Path) -> Config:
    problems = write_problems(folder / "problems.jsonl", PROBLEMS)
    return recipe(
        f"data.pool={pool}",
        *(f"data.{split}={problems}" for split in ("train", "validation")),
        f"data.test={write_problems(folder / 'tested.jsonl', TESTED)}",
        "training.iterations=2",
        # Enough that it calls somebody when it is measured, too.
        *("warm_start.minibatch=4", "warm_start.learning_rate=1e-2", "warm_start.bare_epochs=2"),
    )


def asked(folder: Path) -> float:
    """Calls to experts an episode, over all budgets and iterations."""
    lines = read_metrics(folder)
    return sum(sum(score["calls"].values()) for line in lines for score in line["train"])


# --- recorded --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some draws of each simulated expert's reply to each problem."""
    path = tmp_path_factory.mktemp("recorded") / "store.sqlite"
    provider = SimulatedProvider(SIMULATED, ProblemBook([*PROBLEMS, *TESTED]))

    def call(name: str, problem: Problem, draw: int) -> RecordedCall:
        reply = provider.reply(
            name, problem, n_bytes=len(problem.text), draw_seed=draw, max_output_tokens=None
        )
        return RecordedCall(
            request_key="",
            sample=draw,
            occurrence=0,
            expert=name,
            model=SIMULATED[name].model,
            problem_key=problem_key(problem.text),
            attempts=(Attempt("ok", reply.usage),),
            reply=reply,
            origin="imported",
        )

    with RecordingStore.open(path) as opened:
        for expert in SIMULATED.experts:
            for problem in (*PROBLEMS, *TESTED):
                for draw in range(DRAWS):
                    opened.add(call(expert.name, problem, draw))
    return path


@pytest.fixture(scope="module")
def recorded_pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated pool's models and prices, with replies from recordings alone."""
    path = tmp_path_factory.mktemp("pool") / "pool.toml"
    served = served_pool_toml(SIMULATED, "http://127.0.0.1:9/v1")
    kept = [
        line
        for line in served.replace('provider = "openai"', 'provider = "recorded"').splitlines()
        if not line.startswith(("base_url", "send_seed", "[simulation]", '"served"'))
    ]
    path.write_text("\n".join(kept) + "\n")
    pool = load_pool(str(path))
    assert {expert.provider for expert in pool.experts} == {"recorded"}
    assert not pool.simulated
    return path


def test_a_run_learns_from_recordings_alone(
    tmp_path: Path, store: Path, recorded_pool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.read_bytes()
    config = tiny(tmp_path, recorded_pool)
    experts = Experts("replay", recordings=store)
    folder = tmp_path / "run"
    trained = train(config, folder, seed=0, experts=experts)
    assert trained.finished and trained.iterations == 2
    assert asked(folder) > 0
    # Every draw is there: nothing has failed, and something was right.
    shown = [piece["text"] for kept in read_samples(folder) for piece in kept["pieces"]]
    assert any("<result" in text for text in shown)
    assert not any("failed" in text for text in shown)
    lines = read_metrics(folder)
    assert any(score["reward"] > 0 for line in lines for score in line["train"])
    assert all(score["mean_cost_usd"] > 0 for line in lines for score in line["train"])
    # Nobody was paid, and nothing was recorded anew.
    assert not {"ledger.jsonl", "recordings.sqlite"} & {path.name for path in folder.iterdir()}
    assert store.read_bytes() == before

    train(config, tmp_path / "again", seed=0, experts=experts)
    assert figures(tmp_path / "again") == figures(folder)
    assert weights(tmp_path / "again") == weights(folder)

    # It is evaluated there, too: without an optimum, which nobody knows of recordings.
    def evaluated() -> str:
        with pytest.raises(SystemExit) as left:
            main(
                ["evaluate", str(folder), "--mode", "replay", "--recordings", str(store),
                 "--samples", "2", "--json"]
            )  # fmt: skip
        assert not left.value.code
        return capsys.readouterr().out

    said = evaluated()
    document = json.loads(said)
    assert [score["budget"] for score in document["budgets"]] == ["low", "medium", "high"]
    for score in document["budgets"]:
        assert score["episodes"] == 2 * len(TESTED)
        assert score["fraction"] is None and score["strong_share"] is None
        low, high = score["reward_interval"]
        assert low <= score["reward"] <= high
    assert document["contrasts"] == []
    assert evaluated() == said
    assert not (folder / "evaluation").exists()


def test_every_draw_comes_up_in_groups_of_any_size() -> None:
    """A store's n draws are taken in turn by the samples that groups share."""
    for samples, draws in ((8, 2), (8, 3), (8, 8), (4, 16)):
        taken = {
            errand.replies % draws
            for iteration in range(3)
            for errand in draw_errands(
                PROBLEMS,
                [Budget("low", Decimal(1))],
                64,
                samples,
                first_sample=1 + 64 * iteration,
                rng=Random(0),
                share_replies=True,
            )
            if errand.replies is not None
        }
        assert taken == set(range(draws))


def test_problems_without_recordings_are_told_before_they_are_trained_on(
    tmp_path: Path, store: Path, recorded_pool: Path
) -> None:
    config = tiny(tmp_path, recorded_pool)
    experts, heard = Experts("replay", recordings=store), list[str]()
    strangers = config.data.model_copy(update={"train": "synth:validation"})
    with pytest.raises(ConfigError, match=r"has no problem of synth.* that"):
        train(config.model_copy(update={"data": strangers}), tmp_path / "none", seed=0,
              experts=experts)  # fmt: skip
    path = tmp_path / "more.jsonl"
    more = {"id": "more", "problem": "What is 1 + 1?", "answer": "2"}
    path.write_text(write_problems(path, PROBLEMS).read_text() + json.dumps(more) + "\n")
    some = config.data.model_copy(update={"validation": str(path)})
    setup = prepare(config.model_copy(update={"data": some}))
    both = (setup.train, setup.validation)
    require_covered(setup.pool, both, experts, say=heard.append)
    (line,) = heard
    assert f"have answered {len(PROBLEMS)} of {len(PROBLEMS) + 1} problems of" in line
    # A split of the same name, of which other problems are left, is another one.
    unanswered = replace(setup.validation, problems=setup.validation.problems[-1:])
    for split in ((unanswered, setup.validation), (setup.validation, unanswered)):
        with pytest.raises(ConfigError, match=r"has no problem of .* that all of"):
            require_covered(setup.pool, split, experts, say=heard.append)
    del heard[1:]
    # Somebody who has answered none is no matter to a controller that never calls him.
    nobody = replace(setup.pool.experts[-1], name="nobody", model="nobody")
    larger = replace(setup.pool, experts=(*setup.pool.experts, nobody))
    with pytest.raises(ConfigError, match=r"has no problem of .* that all of .*nobody: 0"):
        require_covered(larger, both, experts, say=heard.append)
    require_covered(larger, both, experts, say=heard.append, by=any)
    assert "have answered 0 of" in heard[-1] and "nobody 0;" in heard[-1]


# --- live ------------------------------------------------------------------------------------


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The file of a pool whose experts stand at a server, and the server's own log."""
    log = tmp_path / "requests.jsonl"
    app = build_app(SIMULATED, ProblemBook([*PROBLEMS, *TESTED]), log_path=log, latency_scale=0)
    with in_thread(lambda: listening(app)) as base_url:
        path = tmp_path / "served.toml"
        path.write_text(served_pool_toml(SIMULATED, base_url))
        yield path, log


def bills(log: Path) -> list[Decimal]:
    """What each request has cost by the server's own books."""
    return [Decimal(json.loads(line)["bill_usd"]) for line in log.read_text().splitlines()]


def test_a_live_run_keeps_to_its_cap_and_pays_for_nothing_twice(
    tmp_path: Path, live: tuple[Path, Path]
) -> None:
    pool, log = live
    config = tiny(tmp_path, pool)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with pytest.raises(ConfigError, match="--max-cost"):
        train(config, whole, seed=0)
    assert not log.read_text()

    assert train(config, whole, seed=0, experts=Experts(max_cost_usd=Decimal(5))).finished
    assert asked(whole) > 0
    paid = bills(log)
    ledger = list(read_ledger(whole))
    assert len([line for line in ledger if not line.stored]) == len(paid)
    assert sum(line.billed_cost_usd for line in ledger) == sum(paid)

    # The same run under a cap that it cannot keep to: it stops, and goes on when it may.
    cap_usd = sum(paid) / 2
    with pytest.raises(CapReachedError, match=r"^iteration \d"):
        train(config, cut, seed=0, experts=Experts(max_cost_usd=cap_usd))
    first = bills(log)[len(paid) :]
    assert 0 < sum(first) <= cap_usd
    kept = Checkpoint.load(cut)
    assert kept is None or kept.iteration < 2
    assert train(config, cut, seed=0, experts=Experts(max_cost_usd=Decimal(5))).finished
    # No request was made a second time, and what was learned is what the whole run has learned.
    assert sorted(bills(log)[len(paid) :]) == sorted(paid)
    assert figures(cut) == figures(whole)
    assert weights(cut) == weights(whole)


def test_two_evaluations_of_a_live_run_do_not_spend_at_once(
    tmp_path: Path, live: tuple[Path, Path]
) -> None:
    pool, log = live
    folder = tmp_path / "run"
    experts = Experts(max_cost_usd=Decimal(5))
    train(tiny(tmp_path, pool), folder, seed=0, experts=experts)
    before = log.read_text()
    with pytest.raises(ConfigError, match="--max-cost"), open_run(folder):
        pass
    assert not (folder / "evaluation").exists()
    with open_run(folder, experts=experts) as (environment, _):
        assert environment.desk.billed_usd == 0
        # While one is under way, another is turned away before it has opened a book.
        with (
            pytest.raises(ConfigError, match=rf"working in {folder / 'evaluation'}") as refused,
            open_run(folder, experts=experts),
        ):
            pass
        assert "\n" not in str(refused.value)
    os.close(lock_directory(folder / "evaluation"))
    assert log.read_text() == before
