from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError, MissingExtraError
from corl_train.runs.tracking import SINKS, TENSORBOARD_FOLDER, Sinks, open_sinks, scalars
from training.made_up_run import line, score

CONFIG = {"seed": 7, "training": {"clip": 0.2}}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    sys.modules["wandb"].teardown()


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    """What TensorBoard shows of a scalar."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reading.EventAccumulator(str(folder / TENSORBOARD_FOLDER))
    events.Reload()
    return [(event.step, round(event.value, 6)) for event in events.Scalars(name)]


def test_names_are_flat() -> None:
    given = line(
        3,
        budgets={"low": {"reward": 0.25, "calls": {"nano": 1.5}}},
        validation=[score("low", reward=0.75)],
        findings=[{"kind": "blind-critic", "what": "…", "advice": "…"}],
    )
    found = dict(scalars(given))
    assert found["train/low/reward"] == 0.25
    assert found["train/low/calls/nano"] == 1.5
    assert found["validation/low/reward"] == 0.75
    assert found["update/kl"] == 0.4
    assert not [name for name in found if "iteration" in name or "findings" in name]


def test_what_is_no_finite_number_is_left_out() -> None:
    found = dict(scalars(line(1, value_error=math.nan, kl=math.inf, entropy=None)))
    assert not {"update/value_error", "update/kl", "update/entropy"} & set(found)
    assert "update/clipped" in found


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    with open_sinks([], tmp_path, CONFIG, first_iteration=1) as sink:
        sink.log(line(1))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no sink 'mlflow'.*tensorboard, wandb"):
        open_sinks(["mlflow"], tmp_path, CONFIG, first_iteration=1)


@pytest.mark.parametrize("name", SINKS)
def test_a_missing_package_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'corl-bench\[{name}\]'$"):
        open_sinks([name], tmp_path, CONFIG, first_iteration=1)
    assert list(tmp_path.iterdir()) == []


class Noted:
    """A sink that holds so many lines."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.lines: list[int] = []
        self.closed = 0

    def log(self, line: Mapping[str, Any]) -> None:
        if len(self.lines) == self.room:
            raise OSError("disk full")
        self.lines.append(line["iteration"])

    def close(self) -> None:
        self.closed += 1
        raise OSError("not flushed")


def test_a_sink_that_fails_is_left_out_and_said_once() -> None:
    small, large = Noted(1), Noted(9)
    heard: list[str] = []
    sinks = Sinks({"small": small, "large": large}, heard.append)
    for iteration in (1, 2, 3):
        sinks.log(line(iteration))
    assert (small.lines, large.lines) == ([1], [1, 2, 3])
    assert [said for said in heard if "disk full" in said] == heard[:1]
    assert heard[0].startswith("  ! small: disk full; it gets no more figures")
    sinks.close()
    assert (small.closed, large.closed) == (1, 1)
    unflushed = "could not be closed: not flushed"
    assert heard[1:] == [f"  ! small {unflushed}", f"  ! large {unflushed}"]


def test_tensorboard_shows_each_iteration_once_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    with open_sinks(["tensorboard"], tmp_path, CONFIG, first_iteration=1) as sink:
        for iteration in (1, 2, 3, 4):
            sink.log(line(iteration, kl=float(iteration)))
    assert points(tmp_path, "update/kl") == [(1, 1), (2, 2), (3, 3), (4, 4)]

    # Cut off behind iteration 4, with a checkpoint of iteration 2.
    with open_sinks(["tensorboard"], tmp_path, CONFIG, first_iteration=3) as sink:
        for iteration in (3, 4, 5):
            sink.log(line(iteration, kl=10.0 * iteration))
    assert points(tmp_path, "update/kl") == [(1, 1), (2, 2), (3, 30), (4, 40), (5, 50)]
    assert points(tmp_path, "train/high/calls/reasoner")[-1] == (5, 0.9)


def test_tensorboard_has_what_a_killed_run_has_logged(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    sink = open_sinks(["tensorboard"], tmp_path, CONFIG, first_iteration=1)
    for iteration in range(1, 21):
        sink.log(line(iteration))
        shown = points(tmp_path, "train/high/invalid")  # of the last budget, before it is closed
        assert [step for step, _ in shown] == list(range(1, iteration + 1))
    sink.close()


@pytest.mark.usefixtures("offline")
def test_wandb_goes_on_with_the_same_run(tmp_path: Path) -> None:
    for first in (1, 2):
        with open_sinks(["wandb"], tmp_path, CONFIG, first_iteration=first) as sink:
            sink.log(line(first))
    run_id = json.loads((tmp_path / "wandb.json").read_text())["id"]
    logs = sorted(tmp_path.glob(f"wandb/offline-run-*/run-{run_id}.wandb"))
    assert len(logs) == 2
    for log in logs:
        held = log.read_bytes()
        assert b"train/low/reward" in held
        assert b"clip" in held
        for private in (Path(__file__).name, "requirements.txt", sys.executable):
            assert private.encode() not in held


def test_wandb_without_a_key_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no key in ~/.netrc
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="WANDB_MODE=offline") as caught:
        open_sinks(["wandb"], tmp_path, CONFIG, first_iteration=1)
    assert "\n" not in str(caught.value)
