"""Jobs on a real Ray cluster: surveyed, submitted, followed, stopped, crashed and gone on with.

OpenRLHF needs GPUs, so `stand_in_training` runs in its place; everything else is real: Ray with
its job server, the experts' server with its books and key, an expert behind an address that
counts what it is asked. Skipped where Ray is not installed: pip install 'ray[default]==2.55.0'.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("ray.dashboard.modules.job.cli", reason="needs ray[default]")

from corl_bench.errors import ConfigError
from corl_train.openrlhf.experts_server import ExpertsServer
from corl_train.openrlhf.jobs import JobServer
from corl_train.openrlhf.launching import Options, PreflightError
from corl_train.openrlhf.recipe import JobRecipe, load_job_recipe
from corl_train.openrlhf.running import run_job, stop_job
from corl_train.openrlhf.submission import read_steps
from corl_train.openrlhf.workers import KEY_VARIABLE, read_key
from servers.fault_server import FaultServer
from servers.threads import in_thread

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RAY = Path(sys.executable).with_name("ray")
PROVIDER_VARIABLE = "CORL_TEST_PROVIDER_KEY"
PROVIDER_KEY = "sk-planted-8c1d6a57"
TRIES = 3
"""On a machine that is very busy Ray gives up on its own processes."""

pytestmark = [
    pytest.mark.skipif(not RAY.is_file(), reason="needs Ray's command beside Python"),
    pytest.mark.timeout(900),  # a minute each, on a machine that has nothing else to do
]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A cluster of this machine alone, with one GPU that it only says it has."""
    for _ in range(TRIES):
        with started_ray() as server:
            if server is not None:
                yield server.address
                return
    pytest.fail(f"Ray has not started in {TRIES} tries")


@contextmanager
def started_ray() -> Iterator[JobServer | None]:
    """Ray's processes for as long as it is open; None where they do not come up."""
    # Ray's sockets lie below it, and the system limits the length of their names.
    place = Path(tempfile.mkdtemp(prefix="r", dir=tempfile.gettempdir()))
    dashboard = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, ROOT / "harness", ROOT / "training"))),
        "RAY_USAGE_STATS_ENABLED": "0",
        # A machine that is busy with other tests is slow and not dead.
        "RAY_health_check_timeout_ms": "120000",
        "RAY_agent_register_timeout_ms": "300000",
        "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": "300",
    }
    # As in a shell in which another job is at work, and no provider is known.
    environment[KEY_VARIABLE] = "of another job"
    environment.pop(PROVIDER_VARIABLE, None)
    command = [
        *(str(RAY), "start", "--head", "--block", f"--port={free_port()}", "--num-cpus=2"),
        *("--num-gpus=1", "--include-dashboard=true", f"--dashboard-port={dashboard}"),
        *("--dashboard-host=127.0.0.1", "--node-ip-address=127.0.0.1", f"--temp-dir={place}"),
        *("--object-store-memory=100000000", "--disable-usage-stats"),
    ]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = JobServer(f"http://127.0.0.1:{dashboard}")
    is_up = False
    try:
        while not is_up and process.poll() is None:
            try:
                is_up = bool(server.require())
            except ConfigError:
                threading.Event().wait(0.5)
        yield server if is_up else None
    finally:
        process.terminate()
        process.wait(120)
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def expert() -> Iterator[FaultServer]:
    with in_thread(FaultServer) as server:
        yield server


@pytest.fixture
def options(tmp_path: Path, ray_address: str, monkeypatch: pytest.MonkeyPatch) -> Options:
    # As it is on a machine whose Python is that of the cluster.
    monkeypatch.setenv("PATH", f"{RAY.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(PROVIDER_VARIABLE, PROVIDER_KEY)
    return Options(
        folder=tmp_path / "job",
        cap_usd=Decimal(5),
        address=ray_address,
        entry="stand_in_training",
        python=sys.executable,
        retries=0,
    )


@pytest.fixture
def recipe(tmp_path: Path, expert: FaultServer) -> JobRecipe:
    """Five steps of two problems, with one expert; sized for the one GPU of the cluster."""
    pool = tmp_path / "pool.toml"
    pool.write_text(
        '[budgets]\nlow = "0.01"\n[experts.mini]\nprovider = "openai"\nmodel = "gpt-4.1"\n'
        f'base_url = "{expert.base_url}"\nmax_output_tokens = 100\n'
        f'price = "openai/gpt-4.1"\nmax_attempts = 1\nkey_env = "{PROVIDER_VARIABLE}"\n'
    )
    rows = [
        {"problem": f"Compute {n} + {n}, and then halve what you have.", "answer": str(n)}
        for n in range(12)
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "data.train": str(tmp_path / "train.jsonl"),
        "data.apart_from": "[]",
        "data.validation_problems": "2",
        "data.pool": str(pool),
        "training.prompts": "2",
        "training.samples": "1",
        "training.minibatch": "2",
        "schedule.checkpoint_every": "2",
    }
    return load_job_recipe("corl-lora", settings=[f"{k}={v}" for k, v in settings.items()])


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """The survey is made, and what this machine lacks is overlooked."""
    monkeypatch.setattr("corl_train.openrlhf.running.check_cluster", lambda *given: [])


def test_a_cluster_that_will_not_do_is_refused_before_anything_is_asked(
    recipe: JobRecipe, options: Options, expert: FaultServer
) -> None:
    with pytest.raises(PreflightError) as refused:
        run_job(recipe, options, say=print)
    mistakes = " | ".join(refused.value.mistakes)
    assert "nvidia-smi tells no memory" in mistakes
    assert "has no OpenRLHF: pip install 'openrlhf==0.11.2'" in mistakes
    assert "does not see" not in mistakes
    assert "does not reach" not in mistakes
    assert expert.requests == []
    with pytest.raises(ConfigError, match="does not answer"):
        ExpertsServer(options.folder).stats()  # it was started for the survey, and is gone


def test_a_job_that_crashes_goes_on_and_pays_for_nothing_twice(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None
) -> None:
    options.folder.mkdir()
    (options.folder / "crash_at").write_text("4")
    told: list[str] = []

    assert run_job(recipe, options, say=told.append) == "failed"
    # Steps 1 to 4 have asked, and the last checkpoint is behind step 2.
    assert len(expert.requests) == 8
    assert [step.number for step in read_steps(options.folder / "steps.jsonl")] == [1, 2, 3]

    assert run_job(recipe, options, say=told.append) == "finished"
    assert "going on behind step 2" in (options.folder / "logs" / "attempt-2.log").read_text()
    assert len(expert.requests) == 10
    assert len({json.dumps(r["body"]["messages"]) for r in expert.requests}) == 10
    steps = read_steps(options.folder / "steps.jsonl")
    assert [step.number for step in steps] == [1, 2, 3, 4, 5]
    assert any("step 5 of 5" in line and "experts $" in line for line in told)

    assert run_job(recipe, options, say=told.append) == "finished"
    assert told[-1].endswith("this job is finished")
    assert len(expert.requests) == 10


def process_of(options: Options) -> int:
    """Of the experts' server."""
    return int(json.loads((options.folder / "experts/process.json").read_bytes())["process"])


@contextmanager
def followed(recipe: JobRecipe, options: Options, told: list[str]) -> Iterator[list[str]]:
    """A job that somebody follows, when it waits; its ending, once it is over."""
    endings: list[str] = []
    following = threading.Thread(
        target=lambda: endings.append(run_job(recipe, options, say=told.append))
    )
    following.start()
    while not (options.folder / "waiting").exists():
        assert following.is_alive()
        threading.Event().wait(0.2)
    yield endings
    following.join()


def leave_alone(recipe: JobRecipe, options: Options, place: Path) -> None:
    """A job whose launch was interrupted; it waits behind its second step."""
    options.folder.mkdir()
    (options.folder / "wait_at").write_text("2")
    (place / "recipe.json").write_text(recipe.model_dump_json())
    code = (
        "import sys\nfrom decimal import Decimal\nfrom pathlib import Path\n"
        "from corl_train.openrlhf import running\n"
        "from corl_train.openrlhf.launching import Options\n"
        "from corl_train.openrlhf.recipe import JobRecipe\n"
        "running.check_cluster = lambda *given: []\n"
        "recipe = JobRecipe.model_validate_json(Path(sys.argv[1]).read_bytes())\n"
        "options = Options(Path(sys.argv[2]), cap_usd=Decimal(5), address=sys.argv[3],\n"
        "    entry='stand_in_training', python=sys.argv[4])\n"
        "running.run_job(recipe, options, say=print)\n"
    )
    words = [str(place / "recipe.json"), str(options.folder), str(options.address)]
    words.append(options.python)
    launch = subprocess.Popen([sys.executable, "-c", code, *words])
    while not (options.folder / "waiting").exists():
        assert launch.poll() is None
        threading.Event().wait(0.2)
    launch.send_signal(signal.SIGINT)
    launch.wait(60)


def test_a_failed_attempt_is_gone_on_with_and_so_are_its_experts(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None
) -> None:
    """The server has died, too: without it the next attempt would fail in the same way."""
    options.folder.mkdir()
    (options.folder / "crash_at").write_text("3")
    (options.folder / "wait_at").write_text("3")
    told: list[str] = []
    with followed(recipe, replace(options, retries=1), told) as endings:
        os.kill(process_of(options), signal.SIGKILL)
        (options.folder / "wait_at").unlink()
    assert endings == ["finished"]
    assert "the experts' server had ended; it is started again" in told
    assert "attempt 1 has failed: going on from its last checkpoint" in told
    assert len(expert.requests) == 10


def test_what_would_fail_again_is_not_tried_again(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None
) -> None:
    options.folder.mkdir()
    (options.folder / "unsound_at").write_text("2")
    told: list[str] = []
    assert run_job(recipe, replace(options, retries=2), say=told.append) == "failed"
    assert told[-2].endswith(": 12 of 12 calls to experts have failed")
    assert told[-1].startswith("by that it would end again")
    state = json.loads((options.folder / "launch.json").read_bytes())
    assert len(state["attempts"]) == 1


def test_whoever_follows_leaves_all_as_it_is(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None, tmp_path: Path
) -> None:
    leave_alone(recipe, options, tmp_path)
    process = process_of(options)
    for change in ({"host": "127.0.0.2"}, {"cap_usd": Decimal(6)}):
        with pytest.raises(ConfigError, match="under way with --max-cost 5 --host 127"):
            run_job(recipe, replace(options, **change), say=print)
    told: list[str] = []
    with followed(recipe, replace(options, cap_usd=None, address=None), told) as endings:
        assert process_of(options) == process
        (options.folder / "wait_at").unlink()
    assert endings == ["finished"]
    assert told[0].endswith("is under way")
    assert len(expert.requests) == 10


def test_a_job_that_has_finished_alone_is_not_begun_again(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None, tmp_path: Path
) -> None:
    leave_alone(recipe, options, tmp_path)
    (options.folder / "wait_at").unlink()
    attempt = json.loads((options.folder / "launch.json").read_bytes())["attempts"][0]
    JobServer(attempt["address"]).wait(attempt["submission"], within_s=300)
    assert run_job(recipe, options, say=print) == "finished"
    assert len(json.loads((options.folder / "launch.json").read_bytes())["attempts"]) == 1
    steps = read_steps(options.folder / "steps.jsonl")
    assert [step.number for step in steps] == [1, 2, 3, 4, 5]
    assert not ExpertsServer(options.folder).was_started
    assert len(expert.requests) == 10


def test_a_job_is_stopped_and_followed_again(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None
) -> None:
    options.folder.mkdir()
    (options.folder / "wait_at").write_text("2")
    with followed(recipe, options, []) as endings:
        stop_job(options.folder, say=print)
        assert not ExpertsServer(options.folder).was_started
    assert endings == ["stopped"]
    (options.folder / "wait_at").unlink()
    assert run_job(recipe, options, say=lambda line: None) == "finished"
    assert len(expert.requests) == 10
    stop_job(options.folder, say=print)  # nothing is under way, and nothing happens


def test_the_cap_ends_a_job_and_a_higher_one_goes_on(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None
) -> None:
    low = replace(options, cap_usd=Decimal("0.002"))
    with pytest.raises(PreflightError, match="would end the job after about"):
        run_job(recipe, low, say=lambda line: None)
    assert expert.requests == []
    # Begun with a cap that would do; then it is lowered to what one more call may not take.
    options.folder.mkdir(exist_ok=True)
    (options.folder / "crash_at").write_text("4")
    assert run_job(recipe, options, say=lambda line: None) == "failed"
    asked = len(expert.requests)
    assert run_job(recipe, low, say=lambda line: None) == "cap"
    assert len(expert.requests) - asked <= 2
    with pytest.raises(ConfigError, match="a higher --max-cost goes on"):
        run_job(recipe, low, say=lambda line: None)
    assert run_job(recipe, options, say=lambda line: None) == "finished"
    assert len({json.dumps(r["body"]["messages"]) for r in expert.requests}) == 10
    assert len(expert.requests) == 10


def test_keys_are_where_they_belong_and_nowhere_else(
    recipe: JobRecipe, options: Options, expert: FaultServer, able: None, tmp_path: Path
) -> None:
    """The launch's environment has the provider's key, and the cluster's has another job's."""
    told: list[str] = []
    assert run_job(recipe, options, say=told.append) == "finished"
    assert {r["headers"]["Authorization"] for r in expert.requests} == {f"Bearer {PROVIDER_KEY}"}
    key = read_key(options.folder)
    assert key is not None
    environments = json.loads((tmp_path / "environments.json").read_bytes())
    assert [environments[of][KEY_VARIABLE] for of in ("driver", "worker")] == [key, key]
    for environment in environments.values():
        assert PROVIDER_VARIABLE not in environment
        assert PROVIDER_KEY not in " ".join(environment.values())
    assert stat.S_IMODE((options.folder / "worker.env").stat().st_mode) == 0o600
    files = [path for path in options.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if PROVIDER_KEY.encode() in path.read_bytes()]
    assert [path.name for path in files if key.encode() in path.read_bytes()] == ["worker.env"]
    with urllib.request.urlopen(f"{options.address}/api/jobs/", timeout=30) as listed:
        shown = listed.read().decode() + "".join(told)
    assert key not in shown
    assert PROVIDER_KEY not in shown
    with pytest.raises(ConfigError, match="holds a job with other settings"):
        run_job(recipe, replace(options, seed=1), say=print)
