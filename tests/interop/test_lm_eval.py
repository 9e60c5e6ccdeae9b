"""lm-eval itself with our systems and our tasks; skipped where it is not installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.experts.recording_files import import_files
from corl_bench.experts.store import RecordingStore
from corl_bench.interop.lm_eval.rows import rows_of
from corl_bench.interop.lm_eval.settings import ARGUMENTS
from corl_bench.money.ledger import read_ledger
from corl_bench.results import OperatingPoint
from corl_bench.runs.plan import make_plan
from corl_bench.runs.run import run
from recorded_models import RECORDED_MODELS

pytest.importorskip("lm_eval", reason="needs lm-eval: pip install 'corl-bench[lm-eval]'")

TASKS = Path(__file__).resolve().parents[2] / "tasks"
NAMES = sorted(path.parent.name for path in TASKS.glob("*/task.toml"))
RECORDED = ("gpt-4o-mini-2024-07-18", "claude-3-haiku-20240307", "Meta-Llama-3.1-8B-Instruct")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def _evaluate(task: str, include: Path = TASKS, **model_args: Any) -> dict[str, Any]:
    """What lm-eval's command line does, less the half minute in which it lists its own tasks."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    import corl_bench.interop.lm_eval.model  # noqa: F401

    results: dict[str, Any] = simple_evaluate(
        model="corl",
        model_args=model_args,
        tasks=[task],
        task_manager=TaskManager(
            include_path=include, include_defaults=False, metadata=dict(model_args)
        ),
        bootstrap_iters=0,
    )
    return results


def _run(task: str, system: str, out: str, budget: str = "none", **more: Any) -> OperatingPoint:
    """What `corl-bench run` says of the same rows."""
    pool = load_pool(more.pop("pool", "sim"))
    recordings = Path(text) if (text := more.pop("recordings", None)) else None
    plan = make_plan(
        tasks=[task],
        pool=pool,
        systems=[system],
        budget=budget,
        samples=1,
        seed=0,
        limit=None,
        mode="auto",
        data_dir=more.pop("data_dir", None),
    )
    finished = run(plan, Path(out), command=["test"], recordings=recordings, quiet=True)
    (point,) = finished.summary.rows
    return point


def test_all_our_tasks_are_found_and_load(here: Path, shared_dir: Path) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=TASKS,
        include_defaults=False,
        metadata={"data_dir": str(shared_dir / "datasets")},
    )
    names = [f"corl_{name}" for name in NAMES]
    # What `lm-eval validate` does.
    assert manager.match_tasks(names) == manager.all_subtasks == names
    for name in ("aime24", "amc23", "gsm8k", "math500", "multiarith", "svamp"):
        task = manager.load(f"corl_{name}")["tasks"][f"corl_{name}"]
        rows = rows_of(name, str(shared_dir / "datasets"))
        assert task.eval_docs.to_list() == rows
        assert task.doc_to_text(rows[0]) == rows[0]["prompt"]
        assert task.doc_to_target(rows[0]) == rows[0]["answer"]
        boxed = task.process_results(rows[0], [f"So \\boxed{{{rows[0]['answer']}}}."])
        assert boxed == {"acc": 1.0, "exact_match": 1.0}
        assert task.process_results(rows[0], ["No idea."]) == {"acc": 0.0, "exact_match": 0.0}


@pytest.mark.parametrize(
    ("system", "budget"), [("random", None), ("cascade:nano>mini>large", "low")]
)
def test_our_task_has_the_accuracy_and_the_cost_of_a_run(
    here: Path, system: str, budget: str | None
) -> None:
    point = _run("synth", system, "run", budget or "none")
    results = _evaluate("corl_synth", system=system, budget=budget, out="books")
    found, money = results["results"]["corl_synth"], results["config"]["corl"]
    assert found["acc,none"] == pytest.approx(point.accuracy, abs=1e-12)
    assert Decimal(money["list_cost_usd"]) == point.total_cost_usd
    assert found["list_cost_usd,none"] == pytest.approx(float(point.total_cost_usd) / 360)
    assert results["higher_is_better"]["corl_synth"]["list_cost_usd"] is False
    assert sum(line.list_cost_usd for line in read_ledger(here / "books")) == point.total_cost_usd
    # The replies of the run do for lm-eval: the very same questions were asked.
    replayed = _evaluate(
        "corl_synth", system=system, budget=budget, out="again", mode="replay", recordings="run"
    )
    assert replayed["results"]["corl_synth"] == found
    assert replayed["config"]["corl"]["billed_cost_usd"] == "0"


def test_a_file_of_ones_own_is_a_task(here: Path) -> None:
    (here / "quiz.jsonl").write_text('{"problem": "What is 20 + 22?", "answer": "42"}\n')
    (here / "mine").mkdir()
    (here / "mine" / "quiz.yaml").write_text(
        f"include: {TASKS / '_lm_eval_yaml'}\ntask: my_quiz\nmetadata:\n  version: 1.0\n"
        f"  corl_task: {here / 'quiz.jsonl'}\n"
    )
    results = _evaluate("my_quiz", here / "mine", system="vote:nano,mini,large")
    assert results["results"]["my_quiz"]["acc,none"] in (0.0, 1.0)
    assert results["config"]["corl"]["tasks"]["my_quiz"]["expert_calls"] == 3


def _write_gsm8k(folder: Path, rows: list[tuple[str, str]]) -> None:
    """lm-eval's own gsm8k task over local rows, and the same rows for `corl-bench run`.

    Its filters know no boxes: of `$\\boxed{42}$.` its `flexible-extract` takes the `$.`, so there
    is one more.
    """
    import lm_eval.tasks

    theirs = [{"question": q, "answer": f"Think.\n#### {a}"} for q, a in rows]
    ours = [{"problem": q, "answer": a, "kind": "integer"} for q, a in rows]
    shots = [
        {"question": f"What is {n} + {n}?", "answer": f"It doubles.\n#### {n + n}"}
        for n in range(9)
    ]
    for name, lines in (("theirs", theirs), ("ours", ours), ("shots", shots)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    own = Path(lm_eval.tasks.__file__).parent / "gsm8k" / "gsm8k.yaml"
    (folder / "local_gsm8k.yaml").write_text(
        f"include: {own}\ntask: local_gsm8k\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs:\n  data_files:\n    train: {folder / 'shots.jsonl'}\n"
        f"    test: {folder / 'theirs.jsonl'}\n"
        "filter_list:\n"
        "  - {name: flexible-extract, filter: [{function: regex, group_select: -1,"
        " regex_pattern: '(-?[$0-9.,]{2,})|(-?[0-9]+)'}, {function: take_first}]}\n"
        "  - {name: boxed, filter: [{function: regex, group_select: -1,"
        " regex_pattern: 'boxed\\{(-?[0-9,.]+)\\}'}, {function: take_first}]}\n"
    )


def test_lm_evals_own_gsm8k_over_local_rows_has_the_accuracy_of_a_run(
    here: Path,
) -> None:
    rows = [
        (f"Ann buys {n} boxes of {n + 3} eggs. How many?", str(n * n + 3 * n)) for n in range(5, 65)
    ]
    _write_gsm8k(here, rows)
    system = "vote:nano,mini,large"
    point = _run("ours.jsonl", system, "run")
    results = _evaluate("local_gsm8k", here, system=system, problems="ours.jsonl", out="books")
    found = results["results"]["local_gsm8k"]
    assert 0 < point.accuracy < 1
    assert found["exact_match,boxed"] == pytest.approx(point.accuracy, abs=1e-12)
    assert found["exact_match,flexible-extract"] < 0.1
    assert results["n-shot"]["local_gsm8k"] == 5
    costs = results["config"]["corl"]["tasks"]["local_gsm8k"]
    assert (costs["requests"], costs["failed"], costs["expert_calls"]) == (60, 0, 180)


def test_recorded_answers_of_real_models_have_the_accuracy_of_a_run(
    here: Path, shared_dir: Path
) -> None:
    answers, data_dir = shared_dir / "recordings" / "gsm", shared_dir / "datasets"
    with RecordingStore.open(here / "gsm.sqlite") as store:
        files = [answers / f"{name}.jsonl.zst" for name in RECORDED]
        import_files(store, files, problems=[answers / "problems.jsonl.zst"])
    (here / "pool.toml").write_text(
        "".join(
            f'[experts."{name}"]\nprovider = "recorded"\nprice = "{RECORDED_MODELS[name]}"\n'
            for name in RECORDED
        )
    )
    system = f"cascade:{'>'.join(RECORDED)}"
    given = {"pool": "pool.toml", "recordings": "gsm.sqlite"}
    point = _run("gsm8k", system, "run", data_dir=data_dir, **given)
    results = _evaluate("corl_gsm8k", system=system, data_dir=str(data_dir), **given)
    found = results["results"]["corl_gsm8k"]
    assert found["acc,none"] == pytest.approx(point.accuracy, abs=1e-12)
    # Of answers like "$18.00" lm-eval's exact match misses some.
    assert point.accuracy - 0.05 < found["exact_match,none"] < point.accuracy
    assert Decimal(results["config"]["corl"]["list_cost_usd"]) == point.total_cost_usd


def test_log_likelihoods_and_a_cache_beside_the_ledger_are_refused(here: Path) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import CachingLM

    from corl_bench.interop.lm_eval.model import CorlModel

    model = CorlModel(system="single:nano")
    asked = Instance("loglikelihood", {}, ("a", "b"), 0, metadata=("hellaswag", 0, 1))
    for method in (model.loglikelihood, model.loglikelihood_rolling):
        with pytest.raises(ConfigError, match="hellaswag: it compares log-likelihoods"):
            method([asked])
    with pytest.raises(ConfigError, match="--use_cache"):
        CachingLM(model, str(here / "cache.db"))


@pytest.fixture
def alone(here: Path) -> ModuleType:
    """`tasks/lm_eval_functions.py` as it is where corl-bench is not installed."""
    source = TASKS / "lm_eval_functions.py"
    (here / "lm_eval_functions.py").write_bytes(source.read_bytes())
    spec = importlib.util.spec_from_file_location("alone", here / "lm_eval_functions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_corl_bench_the_same_yaml_gives_exact_match(
    alone: ModuleType, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "corl_bench.grading", None)
    monkeypatch.setitem(sys.modules, "corl_bench.interop.lm_eval.rows", None)
    (here / "rows").mkdir()
    (here / "rows" / "train.jsonl").write_text(
        '{"Body": "Tom has 3 pens", "Question": "How many?", "Answer": "Three. #### 1,003"}\n'
    )
    (here / "pens").mkdir()
    (here / "pens" / "task.toml").write_text(
        'kind = "integer"\ndefault_split = "all"\nprompt = """\n{problem} Box it."""\n'
        f'[splits.all.source]\ndataset = "{here / "rows"}"\nsplits = ["train"]\n'
        'problem = ["Body", "Question"]\nanswer = "Answer"\nanswer_form = "hashes"\n'
    )
    row = alone.load(corl_task="pens", system="ignored")["test"][0]
    assert row["prompt"] == "Tom has 3 pens. How many? Box it."
    assert row["answer"] == "1,003"
    for response, matched in (
        (r"So \boxed{1003}", 1.0),
        (r"\boxed{5}, no: \boxed{ \text{x} }", 0.0),
        ("It is 1,003.0 or so", 1.0),
        ("", 0.0),
    ):
        assert alone.process_results(row, [response]) == {"exact_match": matched}


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("73", "073"),
        ("27", "27.0"),
        (r"\frac{1}{2}", r"\dfrac{1}{2}"),
        (r"(1, 2)", r"\left(1,2\right)"),
    ],
)
def test_exact_match_passes_over_typography(alone: ModuleType, gold: str, answer: str) -> None:
    row = {"answer": gold, "kind": "math"}
    assert alone.process_results(row, [rf"\boxed{{{answer}}}"])["exact_match"] == 1.0


def _command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`corl-lm-eval` in a folder, with no more of lm-eval's own words than its errors."""
    return subprocess.run(
        [sys.executable, "-m", "corl_bench.cli.lm_eval", *arguments],
        cwd=folder,
        env={**os.environ, "LMEVAL_LOG_LEVEL": "ERROR", "COLUMNS": "200"},
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_the_command_is_lm_evals_own_and_its_result_holds_the_dollars(here: Path) -> None:
    done = _command(
        here,
        *("--model", "corl", "--model_args", 'system="vote:nano,mini,large",budget=0.002'),
        *("--tasks", "corl_synth", "--limit", "20", "--output_path", "result.json"),
        "--log_samples",
    )
    assert done.returncode == 0, done.stderr
    assert "|corl_synth|" in done.stdout
    assert "|list_cost_usd|" in done.stdout
    assert "20 requests; list cost $" in done.stdout
    assert "billed by this command: $" in done.stdout
    (result,) = here.rglob("result*.json")
    money = json.loads(result.read_text())["config"]["corl"]
    (samples,) = here.rglob("samples_corl_synth*.jsonl")
    each = [json.loads(line)["list_cost_usd"] for line in samples.read_text().splitlines()]
    assert sum(each) == pytest.approx(float(money["list_cost_usd"]))
    assert money["budget_usd"] == "0.002"


@pytest.fixture
def command(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command in this process, and what it says: its code, standard output and error.

    lm-eval's listing of its own tasks takes half a minute and is not what is tested.
    """
    import lm_eval.tasks

    from corl_bench.cli.lm_eval import main
    from corl_bench.interop.lm_eval import task_folders

    real = task_folders.TaskManager
    monkeypatch.setattr(
        task_folders, "TaskManager", lambda **more: real(**{**more, "include_defaults": False})
    )
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", real)
    monkeypatch.setattr(sys, "argv", sys.argv)

    def call(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pool=sim", "--tasks", "corl_synth"), "--model_args: name a routing system"),
        (("system=random", "--tasks", "nosuch"), "Tasks not found: nosuch; see"),
        (("system=random", "--tasks", "corl_synth", "--log_samples"), "Specify --output_path"),
        (("system=random", "--config", "nowhere.yaml"), "Config file not found"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(
    command: Any, arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = command("--model", "corl", "--model_args", *arguments)
    assert code == 2
    assert error.splitlines()[-1].startswith(f"corl-lm-eval: {said}")
    assert "Traceback" not in error


@pytest.mark.parametrize("arguments", [(), ("--help",), ("run", "-h"), ("run",)])
def test_help_names_the_model_and_its_arguments(command: Any, arguments: tuple[str, ...]) -> None:
    page = (TASKS.parent / "docs" / "lm-eval.md").read_text()
    code, shown, _ = command(*arguments)
    assert code == 0
    assert "usage: " in shown, "lm-eval's own help is there as well"
    for name in ARGUMENTS:
        assert f"\n  {name} " in shown
        assert f"`{name}`" in page


def test_tasks_of_ones_own_and_ours_run_together(here: Path) -> None:
    (here / "quiz.jsonl").write_text('{"problem": "What is 20 + 22?", "answer": "42"}\n')
    (here / "mine").mkdir()
    (here / "mine" / "quiz.yaml").write_text(
        f"include: {TASKS / '_lm_eval_yaml'}\ntask: my_quiz\nmetadata:\n  version: 1.0\n"
        f"  corl_task: {here / 'quiz.jsonl'}\n"
    )
    done = _command(
        here,
        *("--model", "corl", "--model_args", "system=single:nano", "--include_path", "mine"),
        *("--tasks", "my_quiz,corl_synth", "--limit", "3"),
    )
    assert done.returncode == 0, done.stderr
    assert "  my_quiz: 1 requests; list cost $" in done.stdout
    assert "  corl_synth: 3 requests; list cost $" in done.stdout


def test_lm_evals_own_tasks_are_listed_only_where_they_are_wanted(here: Path) -> None:
    from corl_bench.interop.lm_eval.task_folders import open_tasks

    ours = {f"corl_{name}" for name in NAMES}
    assert set(open_tasks(named=["corl_synth"], include_path=TASKS).all_subtasks) == ours
