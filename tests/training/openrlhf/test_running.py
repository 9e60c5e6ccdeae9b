"""What a launch does around Ray: which pool is shared, on what terms, and what a stop ends.

With the real experts' server and without a cluster; `test_ray_jobs.py` has one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_train.cli.main import main
from corl_train.openrlhf.experts_server import ExpertsServer, Terms
from corl_train.openrlhf.jobs import State
from corl_train.openrlhf.launching import (
    Options,
    check,
    prepare_job,
    source_pool,
    write_prepared,
)
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.running import _share_of, run_job, stop_job
from corl_train.openrlhf.submission import open_job
from training.openrlhf.recipes_at_hand import recipe_at_hand

CAP = Decimal(1000)
RUNNING = {"submission": "job-1", "address": "http://127.0.0.1:9"}
ENDED = RUNNING | {"status": "FAILED", "exit_code": 1}


def closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.fixture
def recipe(tmp_path: Path) -> JobRecipe:
    return recipe_at_hand(tmp_path)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(folder=tmp_path / "job", cap_usd=CAP)


@pytest.fixture
def experts(recipe: JobRecipe, options: Options) -> Iterator[ExpertsServer]:
    """A job that was prepared, with its server at work."""
    write_prepared(prepare_job(recipe, options), options)
    server = ExpertsServer(options.folder)
    server.start(source_pool(recipe, options.folder), Terms(CAP))
    yield server
    server.stop()


def begin(recipe: JobRecipe, options: Options, *attempts: dict[str, Any], **terms: Any) -> None:
    """A job that was submitted, as its directory tells."""
    state = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": 0,
        "experts": replace(Terms(CAP), **terms).to_json(),
        "attempts": list(attempts),
    }
    options.folder.mkdir(exist_ok=True)
    (options.folder / "launch.json").write_text(json.dumps(state))


def shared(recipe: JobRecipe, options: Options, *, is_running: bool) -> Any:
    with open_job(recipe, options.folder, seed=0) as job:
        return _share_of(job, options, is_running=is_running)


def test_a_pool_of_a_launch_that_was_refused_is_not_asked(
    tmp_path: Path, recipe: JobRecipe, options: Options
) -> None:
    write_prepared(prepare_job(recipe, options), options)
    assert source_pool(recipe, options.folder) == str(options.folder / "experts.toml")
    other = recipe_at_hand(tmp_path, **{"data.pool": "corl-paper"})
    write_prepared(prepare_job(other, options), options)
    assert source_pool(other, options.folder) == "corl-paper"
    assert not (options.folder / "experts.toml").exists()


@pytest.mark.parametrize(
    ("nodes", "host", "is_fine"),
    [
        (1, None, True),
        (1, "0.0.0.0", False),
        (2, None, False),
        (2, "127.0.0.2", False),
        (2, "10.0.0.1", True),
    ],
)
def test_an_address_that_workers_can_ask(
    tmp_path: Path, options: Options, nodes: int, host: str | None, is_fine: bool
) -> None:
    recipe = recipe_at_hand(tmp_path, **{"placement.nodes": str(nodes)})
    given = replace(options, host=host)
    said = [line for line in check(prepare_job(recipe, given), given) if "--host" in line]
    assert (not said) is is_fine


def test_terms_are_remembered_with_the_job(recipe: JobRecipe, options: Options) -> None:
    write_prepared(prepare_job(recipe, options), options)
    begin(recipe, options, ENDED, host="10.0.0.1", recordings=Path("/shared/store.sqlite"))
    share = shared(recipe, replace(options, cap_usd=None), is_running=False)
    assert share.terms == Terms(CAP, "10.0.0.1", Path("/shared/store.sqlite"))
    higher = replace(options, cap_usd=2 * CAP, host="10.0.0.2")
    share = shared(recipe, higher, is_running=False)
    assert share.terms == Terms(2 * CAP, "10.0.0.2", Path("/shared/store.sqlite"))


def test_whoever_follows_changes_nothing(recipe: JobRecipe, options: Options) -> None:
    write_prepared(prepare_job(recipe, options), options)
    begin(recipe, options, RUNNING, host="10.0.0.1")
    terms = Terms(CAP, "10.0.0.1")
    assert shared(recipe, options, is_running=True).terms == terms
    assert shared(recipe, replace(options, cap_usd=None), is_running=True).terms == terms
    for change in ({"host": "127.0.0.1"}, {"cap_usd": Decimal(1)}, {"recordings": Path("a")}):
        with pytest.raises(ConfigError, match=r"under way with --max-cost 1000 --host 10\.0\.0\.1"):
            shared(recipe, replace(options, **change), is_running=True)


def test_a_cap_that_has_ended_a_job_does_not_go_on_with_it(
    recipe: JobRecipe, options: Options
) -> None:
    write_prepared(prepare_job(recipe, options), options)
    begin(recipe, options, ENDED | {"exit_code": 3})
    with pytest.raises(ConfigError, match=r"cap of \$1000 has ended this job"):
        shared(recipe, options, is_running=False)
    assert shared(recipe, replace(options, cap_usd=CAP + 1), is_running=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "replay"},
        {"mode": "live", "recordings": Path("store.sqlite")},
    ],
)
def test_a_job_goes_on_with_replies_from_where_it_had_them(
    recipe: JobRecipe, options: Options, changes: dict[str, Any]
) -> None:
    write_prepared(prepare_job(recipe, options), options)
    begin(recipe, options, ENDED)
    with pytest.raises(ConfigError, match="begun with replies of live experts: leave off --mode"):
        run_job(recipe, replace(options, **changes), say=print)


@pytest.mark.parametrize("changes", [{"mode": "replay"}, {"recordings": Path("store.sqlite")}])
def test_a_simulated_job_stays_one(
    tmp_path: Path, options: Options, changes: dict[str, Any]
) -> None:
    recipe = recipe_at_hand(tmp_path, **{"data.pool": "sim"})
    write_prepared(prepare_job(recipe, options), options)
    begin(recipe, options, ENDED)
    with pytest.raises(ConfigError, match="begun with replies of simulated experts"):
        run_job(recipe, replace(options, **changes), say=print)


def test_without_a_cluster_nothing_is_written(recipe: JobRecipe, options: Options) -> None:
    nowhere = f"http://127.0.0.1:{closed_port()}"
    unasked = replace(options, address=nowhere, is_asking_experts=False)
    with pytest.raises(ConfigError, match="no Ray job server at"):
        run_job(recipe, unasked, say=print)
    assert not options.folder.exists()


def test_a_stop_compares_nothing_and_needs_no_ray(
    recipe: JobRecipe, options: Options, experts: ExpertsServer, capsys: Any
) -> None:
    """Ray's head is gone, and no setting of the job is said again, nor its recipe."""
    begin(recipe, options, RUNNING | {"address": f"http://127.0.0.1:{closed_port()}"})
    with pytest.raises(SystemExit) as ended:
        main(["launch", "--out", str(options.folder), "--stop"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert "its experts' server has ended" in told.out
    (line,) = told.err.splitlines()
    assert "no Ray job server at http://127.0.0.1" in line
    assert not experts.was_started


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--stop"], "--stop: name the job's directory with --out"),
        ([], "Missing argument 'RECIPE'"),
        (["--out", "job"], "Missing argument 'RECIPE'"),
        (["--out", "job", "--stop"], "holds no job: name the --out of its launch"),
    ],
)
def test_a_stop_needs_a_job(
    given: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["launch", *given])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_stop_ends_the_server_of_a_launch_that_was_killed(
    options: Options, experts: ExpertsServer
) -> None:
    """It had looked at the cluster, and submitted nothing yet."""
    told: list[str] = []
    stop_job(options.folder, say=told.append)
    assert told == ["its experts' server has ended"]
    assert not experts.was_started
    with pytest.raises(ConfigError, match="holds no job"):
        stop_job(options.folder, say=told.append)


def test_a_stop_says_where_else_to_stop(
    recipe: JobRecipe, options: Options, experts: ExpertsServer
) -> None:
    begin(recipe, options, ENDED)
    path = options.folder / "experts" / "process.json"
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | {"machine": "node-a"}))
    with pytest.raises(ConfigError, match=r"started on node-a .* end it there"):
        stop_job(options.folder, say=print)
    path.write_text(before)


def test_a_job_that_is_finished_leaves_no_server(
    recipe: JobRecipe, options: Options, experts: ExpertsServer
) -> None:
    begin(recipe, options, RUNNING | {"status": "SUCCEEDED"})
    assert run_job(recipe, options, say=print) == "finished"
    assert not experts.was_started


def test_a_server_that_has_died_is_there_again_before_the_next_attempt(
    recipe: JobRecipe, options: Options, experts: ExpertsServer
) -> None:
    begin(recipe, options, ENDED)
    share = shared(recipe, options, is_running=False)
    share.ensure()
    assert share.ensure() is False
    process = json.loads((options.folder / "experts" / "process.json").read_bytes())["process"]
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert share.ensure() is True
    assert experts.stats()["cap_usd"] == "1000"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("failed with exit code 1:\nstep 3\nerror: 9 of 9 calls have failed: see\n", "9 of 9"),
        ("failed with exit code 1:\nTraceback …\nRuntimeError: an error: CUDA\n", None),
    ],
)
def test_what_a_driver_knows_is_told_from_a_crash(
    recipe: JobRecipe, options: Options, message: str, reason: str | None
) -> None:
    begin(recipe, options, RUNNING)
    with open_job(recipe, options.folder, seed=0) as job:
        job.settle(State("FAILED", message, 1))
        if reason is None:
            assert job.reason is None
        else:
            assert job.reason is not None and job.reason.startswith(reason)
