"""Training as a user does it: as processes, from a recipe to a controller that is benchmarked.

One small run is made once and looked at by all. Where a run has to be cut while it is in the
middle, it writes into a pipe that holds one line: it stands still until that is read, so that
nothing here depends on who is fast.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from training.tiny_runs import figures

if TYPE_CHECKING:
    from e2e.conftest import Corl

RECIPE = """
[data]
protocol = "digest"

[policy]
width = 32
depth = 1
heads = 2
words = 50

[warm_start]
episodes = 64
learning_rate = 1e-2
minibatch = 4
bare_epochs = 2
epochs = 1

[training]
iterations = 6
episodes = 16
epochs = 1

[schedule]
validate_every = 2
validation_problems = 4
checkpoint_every = 2
"""
COMMAND = [sys.executable, "-m", "corl_train.cli.main"]
LIMIT = 4
PIPE_OF_LINES = hasattr(os, "O_DIRECT") and hasattr(fcntl, "F_SETPIPE_SZ")


def environment(**more: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    ours = {name: os.environ[name] for name in kept if name in os.environ}
    return {**ours, "OMP_NUM_THREADS": "1", **more}


class CorlTrain:
    """The command line in one folder, with a recipe `small.toml` there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "small.toml").write_text(RECIPE)

    def __call__(
        self, *arguments: str | Path, code: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=environment(**variables),
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def refused(self, *arguments: str | Path, **variables: str) -> str:
        """The one line that a mistake is answered with."""
        error = self(*arguments, code=2, **variables).stderr.strip()
        assert len(error.splitlines()) == 1, error
        assert error.startswith("corl-train: ")
        return error


@pytest.fixture(scope="module")
def corl_train(tmp_path_factory: pytest.TempPathFactory) -> CorlTrain:
    """The command line; only tests that train anything need torch."""
    return CorlTrain(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def run(corl_train: CorlTrain) -> Path:
    """A run from its beginning to its end."""
    pytest.importorskip("torch")
    done = corl_train("run", "small.toml", "--out", "run", "--seed", "3")
    assert "run: 6 iterations" in done.stdout
    assert "nothing fits" not in done.stdout
    assert done.stderr == ""
    return corl_train.folder / "run"


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"  # tells who was here last
    }


def episodes(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda row: (row["budget"], row["problem_id"]))


# --- what a run is good for ------------------------------------------------------------------


def test_a_run_leaves_what_the_docs_say(run: Path) -> None:
    lines = lines_of(run)
    assert [line["iteration"] for line in lines] == [*range(7)]
    assert ["validation" in line for line in lines] == [n % 2 == 0 for n in range(7)]
    names = {path.name for path in run.iterdir()}
    assert names >= {
        *("config.json", "metrics.jsonl", "samples.jsonl", "checkpoint.pt"),
        *("controller.toml", "protocol.toml", "weights"),
    }
    # Nothing is left of files that were being written.
    assert not [name for name in names if name.endswith((".new", ".tmp"))]


def test_the_same_command_on_a_finished_run_does_nothing(run: Path, corl_train: CorlTrain) -> None:
    before = contents(run)
    done = corl_train("run", "small.toml", "--out", "run", "--seed", "3")
    assert "going on behind iteration 6" in done.stdout
    assert "run: 6 iterations" in done.stdout
    after = contents(run)
    assert {name for name in before if after[name] != before[name]} <= {"checkpoint.pt"}
    assert after.keys() == before.keys()


def test_evaluate_and_the_bench_say_the_same_of_a_controller(
    run: Path, corl_train: CorlTrain, tmp_path: Path, corl: Corl
) -> None:
    asked = ("--limit", str(LIMIT), "--samples", "1", "--json")
    evaluated = json.loads(corl_train("evaluate", "run", *asked).stdout)
    budgets = {row["budget"]: row for row in evaluated["budgets"]}
    assert list(budgets) == ["low", "medium", "high"]
    for row in budgets.values():
        assert row["fraction"] == pytest.approx(row["reward"] / row["optimum"])
        low, high = row["interval"]
        assert low <= row["fraction"] <= high
        assert 0 <= row["optimum_violation_rate"] <= 1
        assert set(row["calls"]) == {"self", "nano", "mini", "large", "reasoner"}
    corl(
        *("run", "--task", "synth:test", "--pool", "sim", "--budget", "low,medium,high"),
        *("--limit", str(LIMIT), "--system", f"controller:{run}", "--out", "results"),
    )
    rows = episodes(tmp_path / "results")
    for name, row in budgets.items():
        own = [episode for episode in rows if episode["budget"] == name]
        assert len(own) == row["episodes"] == LIMIT
        assert sum(e["verdict"] == "correct" for e in own) / LIMIT == row["accuracy"]
        asked_of = [call["expert"] for episode in own for call in episode["calls"]]
        assert {name: asked_of.count(name) / LIMIT for name in row["calls"]} == row["calls"]
    # Else all of it were true of a controller that says nothing.
    assert any(sum(row["calls"].values()) for row in budgets.values())


def test_a_served_controller_does_what_it_does_in_process(
    run: Path, corl_train: CorlTrain, tmp_path: Path, corl: Corl
) -> None:
    bench = (
        *("run", "--task", "synth:test", "--pool", "sim", "--budget", "medium"),
        *("--limit", str(LIMIT)),
    )
    corl(*bench, "--system", f"controller:{run}", "--out", "inside")
    with serving(corl_train, "run") as base_url:
        # At an address alone there is neither a price nor a protocol.
        refused = corl.refused(*bench, "--system", f"controller:{base_url}#small", "--out", "no")
        assert "the price library has no openai/small: write a controller.toml" in refused
        assert not (tmp_path / "no").exists()
        served = tmp_path / "served"
        served.mkdir()
        (served / "controller.toml").write_text(
            f'protocol = "{run}/protocol.toml"\n'
            f'[model]\nprovider = "openai"\nmodel = "small"\nbase_url = "{base_url}"\n'
            "temperature = 0\n"
            'price = { input_usd_per_mtok = "0.000002", output_usd_per_mtok = "0.000002",'
            ' effective_from = 2025-01-01, source = "the recipe" }\n'
        )
        corl(*bench, "--system", f"controller:{served}", "--out", "outside")

    def done(folder: str) -> list[Any]:
        return [
            (
                row["problem_id"],
                row["verdict"],
                row["answer"],
                [c["expert"] for c in row["calls"] if c["role"] != "self"],
                [c["usage"]["input_tokens"] for c in row["calls"] if c["role"] == "self"],
            )
            for row in episodes(tmp_path / folder)
        ]

    assert done("outside") == done("inside")
    assert any(calls for _, _, _, calls, _ in done("inside"))


def test_a_served_controller_says_what_is_wrong_with_a_request(
    run: Path, corl_train: CorlTrain
) -> None:
    opening = next(json.loads(line)["pieces"][0]["text"] for line in (run / "samples.jsonl").open())
    good = {"model": "small", "messages": [{"role": "user", "content": opening}]}

    def post(base_url: str, body: bytes) -> tuple[int, Any]:
        request = Request(f"{base_url}/chat/completions", data=body)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def ask(base_url: str, **changes: Any) -> tuple[int, Any]:
        return post(base_url, json.dumps({**good, **changes}).encode())

    with serving(corl_train, "run") as base_url:
        for body in (b"", b"{", b"[]", b'{"model": "small"}'):
            status, said = post(base_url, body)
            assert (status, said["error"]["type"]) == (400, "invalid_request_error")
        other = [{"role": "user", "content": opening.replace("budget low", "budget tight")}]
        status, said = ask(base_url, messages=other)
        assert status == 400
        assert "was trained for the budgets low, medium, high" in said["error"]["message"]
        assert ask(base_url, temperature="hot")[0] == 400
        assert ask(base_url, model="large")[0] == 404
        # Nobody is worse off for it.
        status, said = ask(base_url)
        assert status == 200
        assert said["usage"]["completion_tokens"] > 0


def test_a_port_that_is_taken_is_a_line(run: Path, corl_train: CorlTrain) -> None:
    with serving(corl_train, "run") as base_url:
        port = str(urlsplit(base_url).port)
        said = corl_train.refused("serve", "run", "--port", port)
    assert f"cannot serve at 127.0.0.1:{port}: " in said


@contextmanager
def serving(corl_train: CorlTrain, folder: str) -> Iterator[str]:
    with subprocess.Popen(
        [*COMMAND, "serve", folder],
        cwd=corl_train.folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("small at http://127.0.0.1:"), ready
            yield ready.split()[-1]
        finally:
            process.terminate()
        assert process.wait() == 0


def test_report_and_recipes(run: Path, corl_train: CorlTrain) -> None:
    done = corl_train("report", "run", "--out", "page.html")
    assert "page.html" in done.stdout
    page = (corl_train.folder / "page.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    listed = dict(line.split("  corl-train ") for line in corl_train("recipes").stdout.splitlines())
    verbs = {name.strip(): verb for name, verb in listed.items()}
    assert (verbs["quickstart"], verbs["smollm2"]) == ("run", "run")
    assert verbs["corl-paper"] == "launch"
    assert 'backend = "openrlhf"' in corl_train("recipes", "corl-paper").stdout
    # What is written out in full is a recipe again, and the same one.
    full = corl_train("recipes", "small.toml").stdout
    (corl_train.folder / "full.toml").write_text(full)
    said = corl_train("recipes", "full.toml").stdout
    assert said.replace("full", "small", 1) == full


# --- what is refused -------------------------------------------------------------------------

BEFORE_TORCH = {
    "run": "Missing argument 'RECIPE'",
    "run nosuch": (
        "no recipe 'nosuch': there are corl-lora, corl-paper, corl-paper-2x8, general, quickstart,"
        " recorded, smollm2, or name a .toml file"
    ),
    "run gone.toml": "cannot read recipe gone.toml",
    "run broken.toml": "broken.toml: no TOML",
    "run small.toml --set training.foo=1": "small.toml: training.foo: unknown key",
    "run small.toml --set training.iterations=few": "small.toml: training.iterations: ",
    "run small.toml --set training.clip=-1": "small.toml: training.clip: ",
    "run small.toml --set policy.words=-1": "small.toml: policy.words: ",
    "run small.toml --set policy.heads=3": "width is a multiple of twice the heads, 6",
    "run small.toml --set iterations=3": "write TABLE.KEY=VALUE",
    "run small.toml --seed minus": "'minus' is not a valid integer",
    "recipes nosuch": "no recipe 'nosuch'",
    "evaluate gone": "gone holds no training run",
    "evaluate .": ". holds no training run: config.json is missing",
    "report gone": "gone holds no training run",
    "serve gone": "gone holds no training run",
}


@pytest.mark.parametrize("words", BEFORE_TORCH, ids=lambda words: words.replace(" ", "_"))
def test_a_mistake_is_a_line(corl_train: CorlTrain, words: str) -> None:
    (corl_train.folder / "broken.toml").write_text("[training\n")
    assert BEFORE_TORCH[words] in corl_train.refused(*words.split())


def test_other_settings_do_not_go_where_a_run_is(run: Path, corl_train: CorlTrain) -> None:
    before = contents(run)
    said = corl_train.refused("run", "small.toml", "--out", "run", "--seed", "4")
    assert "run holds a training run with other settings: name another directory" in said
    assert contents(run) == before


def test_a_budget_that_nothing_fits_is_refused_with_its_table(corl_train: CorlTrain) -> None:
    pytest.importorskip("torch")
    done = corl_train(
        *("run", "small.toml", "--out", "tight", "--set", "data.budgets=tight=0.0000001"),
        code=2,
    )
    assert "tight ($0.0000001)" in done.stdout
    assert "nothing fits: every reward would be zero at this budget" in done.stdout
    (error,) = done.stderr.splitlines()
    assert "budget tight ($0.0000001) fits not one call to any expert" in error
    assert not (corl_train.folder / "tight").exists()


def test_what_was_refused_leaves_the_folder_free(corl_train: CorlTrain) -> None:
    pytest.importorskip("torch")
    said = corl_train.refused("run", "small.toml", "--out", "free", "--set", "data.protocol=corl")
    assert "the warm start cannot play 'corl'" in said
    assert not (corl_train.folder / "free" / "config.json").exists()


def test_a_checkpoint_that_is_none_is_not_taken_up(run: Path, corl_train: CorlTrain) -> None:
    shutil.copytree(run, corl_train.folder / "junk")
    (corl_train.folder / "junk" / "checkpoint.pt").write_text("junk\n")
    said = corl_train.refused("run", "small.toml", "--out", "junk", "--seed", "3")
    assert "junk/checkpoint.pt is broken" in said


def test_a_run_without_a_controller_yet_is_not_evaluated(run: Path, corl_train: CorlTrain) -> None:
    """As one that was killed in its warm start."""
    young = corl_train.folder / "young"
    young.mkdir()
    shutil.copyfile(run / "config.json", young / "config.json")
    assert "young holds no controller yet" in corl_train.refused("evaluate", "young")
    assert "young holds no controller yet" in corl_train.refused("serve", "young")
    assert "holds no iteration yet" in corl_train.refused("report", "young")


def test_without_torch_the_extra_is_named(corl_train: CorlTrain, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(name='torch')\n")
    (corl_train.folder / "any").mkdir(exist_ok=True)
    (corl_train.folder / "any" / "config.json").write_text('{"name": "any", "data": {}}')
    for words in ("run small.toml", "evaluate any", "serve any"):
        said = corl_train.refused(*words.split(), PYTHONPATH=str(tmp_path))
        assert "pip install 'corl-bench[train]'" in said


def test_help_imports_nothing_heavy(corl_train: CorlTrain) -> None:
    look = """
import sys
from corl_train.cli.main import VERBS, main
for arguments in (["--help"], *([verb, "--help"] for verb in VERBS)):
    try:
        main(arguments)
    except SystemExit as left:
        assert left.code == 0, arguments
heavy = {"torch", "transformers", "numpy", "pydantic", "aiohttp", "sympy", "jinja2", "rich"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=corl_train.folder,
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "Train a controller from RECIPE" in done.stdout


# --- runs that are cut off -------------------------------------------------------------------


def start_and_cut(
    corl_train: CorlTrain, arguments: Sequence[str], number: signal.Signals, behind: str
) -> tuple[int, str, str]:
    """Sends a signal once a line was read, when no more than the next two were made.

    Returns:
        The exit code, what came on standard output, and on standard error.
    """
    reading, writing = os.pipe2(os.O_DIRECT)
    # A write is a packet, and one packet has room.
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=corl_train.folder,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(writing)
        heard = ""
        while packet := os.read(reading, 65536).decode():
            heard += packet
            if packet.startswith(behind):
                process.send_signal(number)
        os.close(reading)
        assert process.stderr is not None
        error = process.stderr.read()
    return process.returncode, heard, error


@pytest.mark.skipif(not PIPE_OF_LINES, reason="needs Linux's pipes of packets")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_cut_goes_on_as_if_nothing_had_happened(
    run: Path, corl_train: CorlTrain, number: signal.Signals
) -> None:
    out = f"cut-{number.name}"
    command = ("run", "small.toml", "--out", out, "--seed", "3")
    code, heard, error = start_and_cut(corl_train, command, number, "   3  reward")
    # From a checkpoint in the middle: from the first one nothing of the optimiser is needed.
    assert "   6  reward" not in heard
    folder = corl_train.folder / out
    if number == signal.SIGINT:
        # The iteration that was under way is finished, and a controller is there.
        assert code == 130
        assert error.startswith("interrupted behind iteration ")
        assert error.endswith(": the same command goes on\n")
        assert len(error.splitlines()) == 1
        assert (folder / "controller.toml").exists()
    else:
        assert code == -signal.SIGKILL
        assert not (folder / "controller.toml").exists()
    done = corl_train(*command)
    assert "going on behind iteration" in done.stdout
    assert figures(folder) == figures(run)
    assert (folder / "config.json").read_bytes() == (run / "config.json").read_bytes()
    ours, theirs = contents(folder / "weights"), contents(run / "weights")
    assert ours == theirs
    same_state(folder, run)


def same_state(folder: Path, other: Path) -> None:
    """Everything that would go on from there is the same, the optimiser's state above all."""
    import torch

    from corl_train.runs.checkpoints import Checkpoint

    ours, theirs = Checkpoint.load(folder), Checkpoint.load(other)
    assert ours is not None
    assert theirs is not None
    assert (ours.iteration, ours.best_iteration) == (theirs.iteration, theirs.best_iteration)
    assert ours.best_reward == theirs.best_reward

    def tensors(state: Any, place: str = "") -> Iterator[tuple[str, Any]]:
        if isinstance(state, dict):
            for name, value in state.items():
                yield from tensors(value, f"{place}/{name}")
        elif isinstance(state, list):
            for number, value in enumerate(state):
                yield from tensors(value, f"{place}/{number}")
        else:
            yield place, state

    for part in ("policy", "reference", "optimiser", "best"):
        for (place, mine), (_, other_value) in zip(
            tensors(getattr(ours, part)), tensors(getattr(theirs, part)), strict=True
        ):
            equal: Callable[[Any, Any], bool] = (
                torch.equal if isinstance(mine, torch.Tensor) else lambda a, b: bool(a == b)
            )
            assert equal(mine, other_value), f"{part}{place}"
