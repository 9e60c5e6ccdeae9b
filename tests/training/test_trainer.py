"""A run that goes on: with everything that it had, and only where it is still the same run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.routers.protocol import read_protocol
from corl_bench.runs.directory import lock_directory
from corl_train.config import load_recipe
from corl_train.environment import Environment
from corl_train.evaluation import open_run
from corl_train.policies.loading import computing
from corl_train.runs.checkpoints import Checkpoint
from corl_train.runs.files import read_config, read_metrics
from corl_train.setup import digest_of, new_policy, prepare, write_controller
from corl_train.trainer import train
from servers.experts import KEY, KEY_ENV
from training.tiny_runs import figures, recipe, weights

pytestmark = pytest.mark.usefixtures("one_thread")


class Asks:
    """Sends this process a signal when a line begins like this; keeps all lines."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.heard: list[str] = []

    def __call__(self, line: str) -> None:
        self.heard.append(line)
        if line.startswith(self.behind):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("reward", ["gate", "percentile"])
def test_a_run_that_was_stopped_comes_to_what_it_would_have_come_to(
    tmp_path: Path, reward: str
) -> None:
    """With the percentile reward that takes the window of costs, too."""
    config = recipe(f"reward.kind={reward}", "training.iterations=4")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(config, whole, seed=0)
    asks = Asks("   1  reward")
    stopped = train(config, cut, seed=0, say=asks)
    assert (stopped.finished, stopped.iterations) == (False, 1)
    assert any(line.startswith("stopping behind what is under way") for line in asks.heard)
    kept = Checkpoint.load(cut)
    assert kept is not None
    assert len(kept.recent_usd) == (16 if reward == "percentile" else 0)
    # A controller is there, chosen with a validation that the schedule does not know.
    assert (cut / "controller.toml").exists()
    assert ["validation" in line for line in read_metrics(cut)] == [True, False]
    assert train(config, cut, seed=0).finished
    assert figures(cut) == figures(whole)
    assert weights(cut) == weights(whole)


def test_the_last_iteration_is_validated_whatever_the_schedule(tmp_path: Path) -> None:
    train(recipe(), tmp_path / "run", seed=0)
    lines = read_metrics(tmp_path / "run")
    assert ["validation" in line for line in lines] == [True, False, True, True]


def test_a_warm_start_can_be_left(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    asks = Asks("warm start 1")
    stopped = train(recipe("warm_start.follows_majority=1.0"), folder, seed=0, say=asks)
    assert (stopped.finished, stopped.iterations) == (False, 0)
    assert not any("whole episodes" in line for line in asks.heard)
    assert Checkpoint.load(folder) is None
    assert not (folder / "controller.toml").exists()


def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    # Of another process: it holds the lock until its input ends.
    program = f"""
import sys
from pathlib import Path
from corl_bench.runs.directory import lock_directory
lock_directory(Path({str(folder)!r}))
print("locked", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ConfigError, match=rf"process {other.pid}\) is working in"):
            train(recipe(), folder, seed=0)
        assert {path.name for path in folder.iterdir()} == {".lock"}
    os.close(lock_directory(folder))


def test_a_run_does_not_go_on_with_another_protocol(tmp_path: Path) -> None:
    protocol, folder = tmp_path / "mine.toml", tmp_path / "run"
    text = read_protocol("digest")
    protocol.write_text(text)
    config = recipe(f"data.protocol={protocol}", "training.iterations=1")
    train(config, folder, seed=0)
    protocol.write_text(text + "\n# of the same vocabulary\n")
    with pytest.raises(ConfigError, match="with another protocol: put back") as refused:
        train(config, folder, seed=0)
    assert "\n" not in str(refused.value)
    # What the controller is handed on with is what it was trained with.
    assert (folder / "protocol.toml").read_text() == text
    protocol.write_text(text)
    assert train(config, folder, seed=0).finished


def test_a_run_that_goes_on_keeps_its_prices(tmp_path: Path) -> None:
    today, folder = tmp_path / "today", tmp_path / "run"
    config = recipe("training.iterations=1")
    train(config, today, seed=0)
    kept = json.loads((today / "config.json").read_text())
    assert kept["inputs"]["threads"] == 1
    # One that was cut off on another day, before its first checkpoint.
    kept["inputs"]["price_date"] = "2026-01-02"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(kept))
    for _ in range(2):
        assert train(config, folder, seed=0).finished
        assert read_config(folder)["inputs"]["price_date"] == "2026-01-02"


def test_a_checkpoint_of_another_run_is_not_taken_up(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    config = recipe("training.iterations=1")
    train(config, ours, seed=0)
    train(config, theirs, seed=1)
    shutil.copy(theirs / "checkpoint.pt", ours / "checkpoint.pt")
    with pytest.raises(ConfigError, match=r"checkpoint\.pt is another run's: put back its own"):
        train(config, ours, seed=0)
    (theirs / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"checkpoint\.pt is another run's"):
        train(config, theirs, seed=2)


def test_a_directory_of_the_bench_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds a run of corl-bench"):
        train(recipe(), tmp_path, seed=0)
    assert not (tmp_path / "config.json").exists()


def test_what_a_warm_start_refuses_leaves_the_directory_free(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 of 1 demonstrations fit"):
        train(recipe("warm_start.episodes=1"), tmp_path, seed=0)
    assert train(recipe("training.iterations=1"), tmp_path, seed=0).finished


def test_a_wrong_name_of_the_test_split_shows_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        train(recipe("data.test=nosuch"), tmp_path / "run", seed=0)
    assert not (tmp_path / "run").exists()


class Capped:
    """Reaches the cap in the given roll-out."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.roll_out = Environment.roll_out

    def __call__(self, environment: Environment, *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise CapReachedError("no room under the cap")
        return self.roll_out(environment, *arguments, **named)


@pytest.mark.parametrize(
    ("roll_out", "iteration", "validated"),
    [
        (5, 2, [True, False]),  # in iteration 2's own episodes
        (5 + 1, 2, [True, False, False]),  # in its validation
        (2, 0, [False]),  # in the validation of the warm start
    ],
)
def test_the_cap_loses_no_whole_iteration(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    roll_out: int,
    iteration: int,
    validated: list[bool],
) -> None:
    """Roll-outs: demonstrations, validation, iteration 1, iteration 2, validation, …"""
    roll_out -= 1 if roll_out > 2 else 0
    config = recipe("schedule.checkpoint_every=100")
    folder, whole = tmp_path / "run", tmp_path / "whole"
    with monkeypatch.context() as patched:
        capped = Capped(roll_out)
        patched.setattr(Environment, "roll_out", lambda *a, **named: capped(*a, **named))
        with pytest.raises(CapReachedError, match=f"^iteration {iteration}: no room"):
            train(config, folder, seed=0)
    assert ["validation" in line for line in read_metrics(folder)] == validated
    kept = Checkpoint.load(folder)
    assert kept is not None
    assert kept.iteration == len(validated) - 1
    assert train(config, folder, seed=0).finished
    train(config, whole, seed=0)
    assert figures(folder) == figures(whole)
    assert weights(folder) == weights(whole)


def test_only_a_broken_checkpoint_is_said_to_be_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe("training.iterations=0"), tmp_path, seed=0)
    path = tmp_path / "checkpoint.pt"
    whole = path.read_bytes()
    for torn in (b"", whole[: len(whole) // 2], b"no archive"):
        path.write_bytes(torn)
        with pytest.raises(ConfigError, match=r"checkpoint\.pt is broken .* remove it"):
            Checkpoint.load(tmp_path)
    torch.save({"iteration": 3}, path)
    with pytest.raises(ConfigError, match="of another version"):
        Checkpoint.load(tmp_path)
    path.write_bytes(whole)

    def full(*arguments: object, **named: object) -> None:
        raise RuntimeError("not enough memory: you tried to allocate 9 GB")

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(RuntimeError, match="not enough memory"):
        Checkpoint.load(tmp_path)


# --- the controller that is left -------------------------------------------------------------


def test_a_controller_is_named_by_recipe_and_seed_and_replaced_as_a_whole(tmp_path: Path) -> None:
    setup = prepare(recipe())
    write_controller(setup, new_policy(setup, seed=0), tmp_path, seed=3)
    first = (tmp_path / "controller.toml").read_text()
    assert 'name = "quickstart-3"' in first
    # What a shape of before has left does not stay, nor what a kill has.
    (tmp_path / "weights" / "model-00002.tensors").write_bytes(b"stale")
    (tmp_path / ".weights.new").mkdir()
    write_controller(setup, new_policy(setup, seed=1), tmp_path, seed=3)
    assert not (tmp_path / "weights" / "model-00002.tensors").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".weights")]
    assert digest_of(tmp_path / "weights") in (tmp_path / "controller.toml").read_text() != first


def test_a_digest_tells_files_of_sub_folders_apart(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    empty = digest_of(tmp_path)
    (tmp_path / "a" / "b" / "c").write_bytes(b"1")
    one = digest_of(tmp_path)
    (tmp_path / "a" / "b" / "c").rename(tmp_path / "a" / "c")
    assert len({empty, one, digest_of(tmp_path)}) == 3


def test_a_model_is_measured_as_it_was_trained(llama_folder: Path, tmp_path: Path) -> None:
    settings = [f"policy.path={llama_folder}", "policy.context=256", "policy.dtype=float32"]
    config = load_recipe("smollm2", settings=settings)
    from corl_train.policies.huggingface import HuggingFacePolicy

    setup = prepare(config)
    write_controller(setup, new_policy(setup, seed=0), tmp_path)
    kept = {"seed": 0, **config.model_dump(mode="json")}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    with open_run(tmp_path, limit=1) as (environment, _):
        assert isinstance(environment.policy, HuggingFacePolicy)
        assert environment.policy.context == 256
        options = environment.controller.own_model.options
        assert computing(options) == {"device": "auto", "dtype": "float32", "context": 256}
    for wrong in ({"dtype": "float8"}, {"context": "many"}, {"context": True}):
        with pytest.raises(ConfigError, match=f"options.{next(iter(wrong))}"):
            computing(wrong)


def test_an_expert_of_the_controllers_own_alias_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    pool = tmp_path / "pool.toml"
    pool.write_text(
        'name = "odd"\n[budgets]\nlow = "0.01"\n'
        '[experts.controller]\nprovider = "recorded"\nmodel = "m"\n'
        'price = { input_usd_per_mtok = "1", output_usd_per_mtok = "1",'
        ' effective_from = 2025-01-01, source = "made up" }\n'
    )
    with pytest.raises(ConfigError, match="has an expert 'controller'"):
        prepare(recipe(f"data.pool={pool}"))
