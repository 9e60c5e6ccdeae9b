"""Each format that is imported, figure by figure: what becomes of its rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.interop.formats import IMPORTS, NAMED, SCORED, reader_of
from corl_bench.interop.reported import Reading, ReportedEpisode, Wanted
from corl_bench.money.ledger import read_ledger
from corl_bench.results import read_episodes, read_manifest, read_summary
from corl_bench.types import Usage

Call = Callable[..., tuple[int, str, str]]
Lines = Callable[[Path, Any], Path]


def read(form: str, path: Path, *scorers: str, system: str | None = None) -> Reading:
    return reader_of(form)(path, Wanted(system, scorers))


def one(reading: Reading, **facts: str) -> ReportedEpisode:
    (found,) = [
        episode
        for episode in reading.episodes
        if all(getattr(episode, name) == value for name, value in facts.items())
    ]
    return found


ROUTERBENCH_ROWS: list[dict[str, Any]] = [
    {
        "sample_id": "mmlu-anatomy.val.1",
        "prompt": "['Which bone?', 'Answer.']",
        "eval_name": "mmlu-anatomy",
        "gpt-4": 1.0,
        "gpt-4|model_response": "['A']",
        "gpt-4|total_cost": 0.00023725000000000002,
        "mistral": 0.25,
        "mistral|model_response": "['B']",
        "mistral|total_cost": 2e-05,
        "oracle_model_to_route_to": "gpt-4",
    },
    {
        "sample_id": "mtbench.7",
        "prompt": "['Write a poem.']",
        "eval_name": "mtbench",
        "gpt-4": 0.75,
        "gpt-4|model_response": "['Roses']",
        "gpt-4|total_cost": 0.004,
        "mistral": 0.0,
        "mistral|model_response": "['']",
        "mistral|total_cost": 0.0,
        "oracle_model_to_route_to": "gpt-4",
    },
]


def as_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def as_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    return path


def as_pickle(path: Path, rows: list[dict[str, Any]]) -> Path:
    pandas = pytest.importorskip("pandas", reason="a pickled frame needs pandas to write it")
    pandas.DataFrame(rows).to_pickle(path)
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [("t.csv", as_csv), ("t.parquet", as_parquet), ("t.pkl", as_pickle)],
)
def test_routerbench_has_the_same_figures_in_every_container(
    tmp_path: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], Path]
) -> None:
    reading = read("routerbench", write(tmp_path / name, ROUTERBENCH_ROWS))
    found = {
        (e.problem_id, e.system): (e.correct, e.calls[0].cost_usd, e.response)
        for e in reading.episodes
    }
    assert found == {
        ("mmlu-anatomy.val.1", "single:gpt-4"): (True, Decimal("0.00023725"), "A"),
        ("mmlu-anatomy.val.1", "single:mistral"): (False, Decimal("0.00002"), "B"),
        ("mtbench.7", "single:gpt-4"): (False, Decimal("0.004"), "Roses"),
        ("mtbench.7", "single:mistral"): (False, Decimal(0), ""),
    }
    episode = reading.episodes[0]
    assert (episode.task, episode.subject) == ("routerbench", "mmlu-anatomy")
    assert episode.statement == "Which bone?\n\nAnswer."
    assert "2 replies graded between 0 and 1 are not called correct" in reading.notes


def test_routerbench_cannot_become_recordings(tmp_path: Path, call: Call) -> None:
    table = as_csv(tmp_path / "t.csv", ROUTERBENCH_ROWS)
    code, _, said = call("import", "routerbench", table, "--recordings", tmp_path / "s.sqlite")
    assert code == 2
    assert "no token counts, without which a reply has no cost" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv"]


def llmrouterbench(records: list[dict[str, Any]], **facts: Any) -> str:
    head = {
        "performance": 0.5,
        "time_taken": 1.0,
        "model_name": "gpt-x",
        "dataset_name": "aime",
        "split": "test",
        "demo": False,
    }
    return json.dumps({**head, **facts, "records": records})


def llm_record(index: int, **facts: Any) -> dict[str, Any]:
    record = {
        "index": index,
        "origin_query": f"What is {index} + 1?",
        "prompt": f"Solve: what is {index} + 1?",
        "prompt_tokens": 20,
        "completion_tokens": 7,
        "cost": 0.000125,
        "score": 1.0,
        "prediction": str(index + 1),
        "ground_truth": str(index + 1),
        "raw_output": f"It is \\boxed{{{index + 1}}}.",
        "extra_fields": {},
    }
    return {**record, **facts}


def test_llmrouterbench_takes_the_latest_file_and_no_failure_for_a_free_wrong_answer(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "bench/aime/test/gpt-x"
    folder.mkdir(parents=True)
    (folder / "aime-test-gpt-x-20260101_000000.json").write_text(llmrouterbench([llm_record(9)]))
    (folder / "aime-test-gpt-x-20260301_000000.json").write_text(
        llmrouterbench([llm_record(5)], demo=True)
    )
    failed = {"score": None, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0}
    (folder / "aime-test-gpt-x-20260201_000000.json").write_text(
        llmrouterbench(
            [
                llm_record(1),
                llm_record(2, score=0.5),
                llm_record(3, cost=0.0),
                llm_record(4, **failed, raw_output="Processing failed: no route to host"),
            ]
        )
    )
    reading = read("llmrouterbench", tmp_path)
    assert [e.problem_id for e in reading.episodes] == ["1", "2", "3", "4"]
    right, half, free, broken = reading.episodes
    assert (right.task, right.system) == ("aime:test", "single:gpt-x")
    assert right.calls[0].usage == Usage(input_tokens=20, output_tokens=7)
    assert right.calls[0].cost_usd == Decimal("0.000125")
    assert (right.gold, right.statement, right.correct) == ("2", "What is 1 + 1?", True)
    assert half.correct is False
    assert free.calls[0].cost_usd is None  # tokens at $0 are a model without a price
    assert broken.error == "Processing failed: no route to host"
    assert (broken.calls[0].cost_usd, broken.response) == (None, None)
    assert "2 files left out" in reading.notes[0]


def arena(index: str, **facts: Any) -> dict[str, Any]:
    row = {
        "global index": index,
        "prompt": f"Problem {index}",
        "prediction": "gpt-5-nano",
        "generated_result": {
            "generated_answer": "\\boxed{A}",
            "success": True,
            "token_usage": {"input_tokens": 101, "output_tokens": 79, "total_tokens": 180},
            "provider": "azure",
            "error": None,
        },
        "cost": 5.79e-05,
        "accuracy": 1.0,
    }
    return {**row, **facts}


def test_routerarena_predictions(tmp_path: Path) -> None:
    hidden = {"input_tokens": 92, "output_tokens": 79, "total_tokens": 706}
    result = {"generated_answer": "B", "success": True, "token_usage": hidden, "error": None}
    broken = {"generated_answer": "", "success": False, "token_usage": None, "error": "429"}
    path = tmp_path / "my-router.json"
    path.write_text(
        json.dumps(
            [
                arena("AIME_1"),
                arena("AIME_2", generated_result=result, accuracy=0.0),
                arena("AIME_3", generated_result=broken, cost=None, accuracy=None),
                arena("AIME_4", cost=0.0),
                arena("AIME_1", for_optimality=True, prediction="other"),
            ]
        )
    )
    reading = read("routerarena", path)
    assert {e.system for e in reading.episodes} == {"my-router"}
    first, second, third, fourth = reading.episodes
    assert first.calls[0].cost_usd == Decimal("0.0000579")
    assert first.correct is True
    assert second.events == ("535 tokens beyond input and output in total_tokens",)
    assert (third.error, third.calls[0].status, third.calls[0].cost_usd) == (
        *("429", "server_error"),
        None,
    )
    assert fourth.calls[0].cost_usd is None
    assert reading.notes == [
        "1 entries for_optimality left out: not the router's own choices",
        "1 replies used more tokens in all than their cost counts",
    ]


def test_routerarena_decisions_without_replies_are_no_result(tmp_path: Path, call: Call) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps([arena("AIME_1", generated_result=None)]))
    code, _, said = call("import", "routerarena", path, "--out", tmp_path / "run")
    assert code == 2
    assert "is a decision file, no result" in said


def cached(index: str, **facts: Any) -> dict[str, Any]:
    row = {
        "global_index": index,
        "question": f"Question: {index}",
        "llm_selected": "claude-3-haiku",
        "generated_answer": "It is \\boxed{610}.",
        "token_usage": {"input_tokens": 349, "output_tokens": 120, "total_tokens": 469},
        "success": True,
        "provider": "anthropic",
        "error": None,
        "evaluation_result": {
            "extracted_answer": "610",
            "ground_truth": "610",
            "score": 1.0,
            "metric": "math_metric",
            "inference_cost": 0.00023725000000000002,
        },
    }
    return {**row, **facts}


def test_routerarena_cached_results_play_as_recordings(
    tmp_path: Path, lines: Lines, call: Call
) -> None:
    rows = [cached("AIME_1"), cached("AIME_2", success=False, error="timeout")]
    path = lines(tmp_path / "claude-3-haiku.jsonl", rows)
    store, task = tmp_path / "arena.sqlite", tmp_path / "arena.jsonl"
    code, said, _ = call(
        *("import", "routerarena", path, "--recordings", store, "--write-task", task)
    )
    assert code == 0
    assert (
        said.splitlines()[0] == f"stored 1 replies in {store}, 1 episodes without a reply left out"
    )
    assert said.splitlines()[-1] == f"wrote 2 problems to {task}"
    _, said, _ = call("import", "routerarena", path, "--recordings", store)
    assert "stored 0 replies" in said
    assert "1 were there already" in said
    pool = tmp_path / "pool.toml"
    pool.write_text(
        '[experts.haiku]\nprovider = "recorded"\nmodel = "claude-3-haiku"\n'
        'price = "anthropic/claude-3-haiku-20240307"\n'
    )
    run = tmp_path / "run"
    code, _, _ = call(
        *("run", "--task", task, "--pool", pool, "--mode", "replay", "--recordings", store),
        *("--system", "single:haiku", "--price-date", "2026-08-21", "--out", run, "--quiet"),
    )
    assert code == 4  # the reply that failed in the source is not recorded
    played = {e.problem_id: (e.verdict, e.list_cost_usd) for e in read_episodes(run)}
    assert played == {
        "AIME_1": ("correct", Decimal("0.00023725")),
        "AIME_2": ("error", Decimal(0)),
    }


def test_omnisbench_marks_the_oracle_and_models_without_a_price(tmp_path: Path) -> None:
    def item(policy: str, model: str, **facts: Any) -> dict[str, Any]:
        row = {
            "policy": policy,
            "dataset": "gsm8k",
            "item_id": "gsm8k-85",
            "grader": "numeric_match",
            "reference": "44",
            "meta": {},
            "response_text": "The answer is 44.",
            "chosen_model": model,
            "passed": True,
            "cost_usd": 0.0005390999999999999,
            "input_tokens": 110,
            "output_tokens": 1334,
            "latency_ms": 8915.824499999871,
        }
        return {**row, **facts}

    path = tmp_path / "results.json"
    document = {
        "provenance": {"snapshot_date": "2026-08-18", "unpriced_models": ["x/free"]},
        "leaderboard": [],
        "items": [
            item("always_cheap", "openai/gpt-5-nano"),
            item("random", "x/free", cost_usd=0.0),
            item("oracle", "openai/gpt-5-nano", dataset="code", grader="code_unittest"),
        ],
    }
    path.write_text(json.dumps(document))
    reading = read("omnisbench", path)
    cheap, random, oracle = reading.episodes
    assert cheap.calls[0].cost_usd == Decimal("0.0005391")
    assert cheap.calls[0].latency_s == pytest.approx(8.9158245)
    assert (cheap.task, cheap.gold, cheap.correct) == ("omnisbench:gsm8k", "44", True)
    assert random.calls[0].cost_usd is None
    assert (oracle.is_oracle, oracle.gold, cheap.is_oracle) == (True, None, False)


def test_zeroeval_is_graded_here_and_has_no_cost(tmp_path: Path, call: Call) -> None:
    def row(number: int, answer: str) -> dict[str, Any]:
        return {
            "session_id": f"gsm8k-main-test-#{number}",
            "chat_history": [f"## Question: {number} + 16?"],
            "output": [json.dumps({"reasoning": "…", "answer": answer})],
            "generator": "meta/llama",
            "dataset": "gsm",
            "id": f"gsm8k-main-test-#{number}",
            "question": f"What is {number} + 16?",
            "answer": f"# {number + 16}",
        }

    folder = tmp_path / "gsm"
    folder.mkdir()
    (folder / "llama.json").write_text(json.dumps([row(2, "18"), row(3, "18")]))
    (folder / "gsm.summary.json").write_text("[]")
    run = tmp_path / "run"
    code, said, _ = call("import", "zeroeval", folder, "--out", run)
    assert code == 0, said
    (point,) = read_summary(run).rows
    assert (point.system, point.accuracy, point.cost_basis) == ("single:llama", 0.5, "opaque")
    assert "the cost of 2 of 2 episodes is unknown" in " ".join(read_summary(run).notes)
    store = tmp_path / "s.sqlite"
    code, _, said = call("import", "zeroeval", folder, "--recordings", store)
    assert code == 2
    assert not store.exists()
    code, said, _ = call("import", "zeroeval", folder, "--recordings", store, "--estimate-tokens")
    assert (code, said.splitlines()[0]) == (0, f"stored 2 replies in {store}")


def test_lm_eval_asks_which_of_several_scores_counts(written: Path, call: Call) -> None:
    samples = written / "lm_eval"
    code, _, said = call("import", "lm-eval", samples, "--out", "never")
    assert code == 2
    assert "'exact_match,none', 'exact_match,strict' with --scorer" in said
    strict = read("lm-eval", samples, "exact_match,strict")
    assert [(e.problem_id, e.correct, e.response) for e in strict.episodes] == [
        ("0", True, "The answer is 4"),
        ("1", False, "The answer is 4"),
        ("2", False, "The answer is 4"),
    ]
    assert {(e.system, e.task) for e in strict.episodes} == {("fixed-model", "quiz")}
    assert strict.episodes[2].gold == "\\frac{5}{2}"
    assert strict.episodes[0].statement == "What is 2 + 2?"
    assert {e.calls[0].cost_usd for e in strict.episodes} == {None}
    none = read("lm-eval", samples, "exact_match,none", system="mine")
    assert [e.correct for e in none.episodes] == [False] * 3
    assert {e.system for e in none.episodes} == {"mine"}


def test_lm_eval_tasks_of_one_folder_may_differ_in_their_scores(
    written: Path, tmp_path: Path, lines: Lines
) -> None:
    (samples,) = (written / "lm_eval").rglob("samples_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    stamp = "2026-11-22T07-08-11.480359"
    lines(tmp_path / f"samples_gsm_{stamp}.jsonl", rows)
    other = {"filter": "none", "metrics": ["acc"], "acc": 1.0}
    lines(tmp_path / f"samples_quiz_{stamp}.jsonl", [{**rows[0], **other}])
    with pytest.raises(ConfigError, match=r"has no score 'exact_match,none': name one of 'acc"):
        read("lm-eval", tmp_path, "exact_match,none")
    both = read("lm-eval", tmp_path, "exact_match,none", "acc,none")
    assert {(e.task, e.correct) for e in both.episodes} == {("gsm", False), ("quiz", True)}
    first = read("lm-eval", tmp_path, "exact_match,strict", "exact_match,none", "acc,none")
    assert [e.correct for e in first.episodes] == [True, False, False, True]


def test_lm_eval_rows_of_several_replies_are_several_calls(
    written: Path, tmp_path: Path, lines: Lines, call: Call
) -> None:
    (samples,) = (written / "lm_eval").rglob("samples_*.jsonl")
    row = json.loads(samples.read_text().splitlines()[0])
    row |= {"resps": [["It is 4", "It is 5", "It is 4"]], "metrics": ["acc", "list_cost_usd"]}
    row |= {"acc": 1.0, "list_cost_usd": 0.003}
    path = lines(tmp_path / "samples_quiz_2026-11-22T07-08-11.480359.jsonl", [row])
    run = tmp_path / "run"
    code, said, _ = call("import", "lm-eval", path, "--out", run)
    assert code == 0, said
    (episode,) = read_episodes(run)
    assert [made.text for made in episode.calls] == ["It is 4", "It is 5", "It is 4"]
    assert (episode.response, episode.list_cost_usd) == ("It is 4", Decimal("0.003"))
    notes = " ".join(read_summary(run).notes)
    assert "1 rows have several replies under one verdict: each is a call" in notes


def test_lm_eval_rows_with_a_cost_as_a_metric(written: Path, tmp_path: Path, lines: Lines) -> None:
    (samples,) = (written / "lm_eval").rglob("samples_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()][:3]
    for row in rows:
        row |= {
            "metrics": ["exact_match", "list_cost_usd"],
            "list_cost_usd": 0.00023725000000000002,
        }
    folder = tmp_path / "results"
    folder.mkdir()
    stamp = "2026-11-22T07-08-11.480359"
    lines(folder / f"samples_quiz_{stamp}.jsonl", rows)
    config = {"model": "corl", "corl": {"system": "vote:a,b", "budget": "low"}}
    (folder / f"results_{stamp}.json").write_text(json.dumps({"config": config, "model_name": "x"}))
    reading = read("lm-eval", folder)
    assert {e.system for e in reading.episodes} == {"vote:a,b@low"}
    assert {e.calls[0].cost_usd for e in reading.episodes} == {Decimal("0.00023725")}


@pytest.mark.parametrize("name", ["quiz.eval", "quiz.json"])
def test_inspect_logs_of_both_kinds(written: Path, name: str) -> None:
    reading = read("inspect", written / "inspect" / name)
    assert {e.problem_id: e.correct for e in reading.episodes} == {
        "right": True,
        "wrong": False,
        "half": False,
        "unscored": None,
    }
    right = one(reading, problem_id="right")
    (spent,) = right.calls
    assert spent.usage == Usage(
        input_tokens=12, cached_input_tokens=2, output_tokens=5, reasoning_tokens=1
    )
    assert (spent.expert, spent.text, spent.cost_usd) == (
        *("mockllm/model", "The answer is 4"),
        None,
    )
    assert (right.statement, right.gold) == ("What is 2 + 2?", "4")
    assert one(reading, problem_id="half").detail == (
        "graded 0.5 by the source, which is not correct"
    )


def test_a_sample_that_failed_before_it_asked_has_no_call(
    written: Path, tmp_path: Path, call: Call
) -> None:
    log = json.loads((written / "inspect/quiz.json").read_text())
    right = next(sample for sample in log["samples"] if sample["id"] == "right")
    broken = {
        **{name: right[name] for name in ("epoch", "input", "target")},
        "id": "broken",
        "output": {"model": "mockllm/model", "choices": [], "completion": ""},
        "model_usage": {},
        "scores": {},
        "error": {"message": "the solver broke"},
    }
    path = tmp_path / "quiz.json"
    path.write_text(json.dumps({**log, "samples": [right, broken]}))
    pool = tmp_path / "pool.toml"
    pool.write_text(
        '[experts.mock]\nprovider = "recorded"\nmodel = "mockllm/model"\n'
        'price = "openai/gpt-4.1-nano"\n'
    )
    run = tmp_path / "run"
    options = ("--costs", "prices", "--pool", pool, "--price-date", "2026-08-21")
    code, said, _ = call("import", "inspect", path, "--out", run, *options)
    assert code == 0, said
    (point,) = read_summary(run).rows
    assert (point.expert_calls, point.errors, point.cost_basis) == (1, 1, "self_reported")
    (episode,) = [e for e in read_episodes(run) if e.problem_id == "broken"]
    assert (episode.calls, episode.verdict, episode.detail) == ((), "error", "the solver broke")


def test_an_episode_without_a_call_is_not_metered(tmp_path: Path, lines: Lines, call: Call) -> None:
    path = lines(tmp_path / "trace.jsonl", [trace_row(2, calls=[], answer="4")])
    run = tmp_path / "run"
    assert call("import", "trace", path, "--out", run)[0] == 0
    (point,) = read_summary(run).rows
    assert (point.cost_basis, point.is_ranked) == ("self_reported", False)
    assert point.total_cost_usd == 0
    assert {line.basis for line in read_ledger(run)} == {"self_reported"}


def test_a_trace_says_how_long_an_episode_took(tmp_path: Path, lines: Lines, call: Call) -> None:
    rows = [trace_row(2, latency_s=3.5), trace_row(3)]
    run = tmp_path / "run"
    assert call("import", "trace", lines(tmp_path / "t.jsonl", rows), "--out", run)[0] == 0
    took_s = {episode.problem_id: episode.latency_s for episode in read_episodes(run)}
    assert took_s == {"2": 3.5, "3": 1.5}


def test_inspect_samples_without_a_verdict_are_graded_here(
    written: Path, tmp_path: Path, call: Call
) -> None:
    run = tmp_path / "run"
    code, _, said = call("import", "inspect", written / "inspect/quiz.eval", "--out", run)
    assert code == 0, said
    verdicts = {e.problem_id: e.verdict for e in read_episodes(run)}
    assert verdicts["unscored"] == "correct"  # by our grader, from the sample's target
    assert "1 verdicts are by our grader" in " ".join(read_summary(run).notes)


def trace_row(number: int, **facts: Any) -> dict[str, Any]:
    calls = [
        {
            "expert": "nano",
            "model": "openai/gpt-4.1-nano",
            "usage": {"input_tokens": 14, "output_tokens": 3},
            "text": "It is 4.",
        },
        {
            "expert": "o3",
            "model": "openai/o3",
            "usage": {"prompt_tokens": 140, "completion_tokens": 300},
            "text": "\\boxed{4}",
            "latency_s": 1.5,
        },
    ]
    row = {
        "task": "quiz",
        "problem_id": str(number),
        "problem": f"What is {number} + 2?",
        "gold": str(number + 2),
        "system": "mine",
        "calls": calls,
        "answer": "\\boxed{4}",
    }
    return {**row, **facts}


def test_a_trace_is_priced_at_our_prices_and_graded_by_our_grader(
    tmp_path: Path, lines: Lines, call: Call
) -> None:
    path = lines(tmp_path / "trace.jsonl", [trace_row(2), trace_row(3), trace_row(4, answer=None)])
    run = tmp_path / "run"
    code, said, _ = call("import", "trace", path, "--out", run, "--price-date", "2025-06-09")
    assert code == 0, said
    episodes = {e.problem_id: e for e in read_episodes(run)}
    assert {name: e.verdict for name, e in episodes.items()} == {
        "2": "correct",
        "3": "wrong",
        "4": "no_answer",
    }
    # 14 x 0.1 + 3 x 0.4, and 140 x 10 + 300 x 40: o3's price until 2025-06-09, in millionths
    expected = Decimal("0.0000026") + Decimal("0.0134")
    assert episodes["2"].list_cost_usd == expected
    assert sum(line.list_cost_usd for line in read_ledger(run)) == 3 * expected
    assert {line.basis for line in read_ledger(run)} == {"self_reported"}
    summary = read_summary(run)
    assert summary.list_cost_usd == 3 * expected
    assert (summary.rows[0].cost_basis, summary.rows[0].is_ranked) == ("self_reported", False)
    assert read_manifest(run)["imported"]["format"] == "trace"
    later = tmp_path / "later"
    call("import", "trace", path, "--out", later, "--price-date", "2025-06-10")
    assert read_summary(later).list_cost_usd == Decimal("0.0080478")
    code, said, _ = call("regrade", run)
    assert "3 episodes graded again, 0 verdicts changed" in said
    code, said, _ = call("report", run)
    assert code == 0


def test_a_trace_may_name_a_task_instead_of_golds(tmp_path: Path, lines: Lines, call: Call) -> None:
    task = lines(tmp_path / "quiz.jsonl", [{"id": "q", "problem": "What is  2 + 2?", "answer": 4}])
    row = trace_row(2, gold=None)
    path = lines(tmp_path / "trace.jsonl", [row])
    code, _, said = call("import", "trace", path, "--out", tmp_path / "no")
    assert code == 2
    assert "no gold answer to grade by: name the task with --task" in said
    code, _, said = call("import", "trace", path, "--out", tmp_path / "run", "--task", task)
    assert code == 0, said
    (episode,) = read_episodes(tmp_path / "run")
    assert (episode.problem_id, episode.verdict, episode.task) == ("q", "correct", "quiz")
    code, _, said = call(
        *("import", "trace", lines(tmp_path / "t.jsonl", [trace_row(5)])),
        *("--out", tmp_path / "other", "--task", task),
    )
    assert code == 2
    assert "is no problem of task quiz" in said
    assert not (tmp_path / "other").exists()


def test_a_trace_of_an_unpriced_model_is_refused(tmp_path: Path, lines: Lines, call: Call) -> None:
    calls = [{"expert": "x", "usage": {"input_tokens": 1, "output_tokens": 1}}]
    path = lines(tmp_path / "trace.jsonl", [trace_row(2, calls=calls)])
    code, _, said = call("import", "trace", path, "--out", tmp_path / "run")
    assert code == 2
    assert f"{path}:1" in said
    assert not (tmp_path / "run").exists()


def test_budgets_of_a_trace_are_those_of_its_run(tmp_path: Path, lines: Lines, call: Call) -> None:
    rows = [
        trace_row(2, budget=name, budget_usd=usd)
        for name, usd in (("low", "0.0001"), ("high", "0.1"))
    ]
    run = tmp_path / "run"
    code, said, _ = call("import", "trace", lines(tmp_path / "t.jsonl", rows), "--out", run)
    assert code == 0, said
    assert [(p.budget, p.told_budget, p.violations) for p in read_summary(run).rows] == [
        ("low", True, 1),
        ("high", True, 0),
    ]


def test_costs_of_a_source_can_be_put_at_our_prices(
    tmp_path: Path, lines: Lines, call: Call
) -> None:
    row = cached("AIME_1", llm_selected="anthropic/claude-3-haiku-20240307")
    path = lines(tmp_path / "c.jsonl", [row])
    run = tmp_path / "run"
    code, said, _ = call(
        *("import", "routerarena", path, "--out", run, "--costs", "prices"),
        *("--price-date", "2026-08-21"),
    )
    assert code == 0, said
    # 349 x 0.25 + 120 x 1.25, in millionths of a dollar
    assert read_summary(run).list_cost_usd == Decimal("0.00023725")
    code, _, said = call(
        *("import", "zeroeval", tmp_path / "c.jsonl", "--out", tmp_path / "z"),
    )
    assert code == 2


def test_an_imported_run_is_compared_and_never_ranked(
    tmp_path: Path, lines: Lines, call: Call
) -> None:
    rows = [cached(f"AIME_{number}", llm_selected=m) for number in range(4) for m in ("a", "b")]
    run = tmp_path / "run"
    call("import", "routerarena", lines(tmp_path / "c.jsonl", rows), "--out", run)
    assert {point.is_ranked for point in read_summary(run).rows} == {False}
    code, said, _ = call("compare", run)
    assert code == 0, said
    assert "self-reported" in said
    code, _, said = call("reprice", run, "--price-date", "2026-01-01")
    assert code == 2
    assert "import its source again with --costs prices --price-date 2026-01-01" in said


def test_every_format_says_what_of_its_source_was_read() -> None:
    for name, module in IMPORTS.items():
        path = Path(reader_of(name).__code__.co_filename)
        assert path.stem == module
        source = path.read_text()
        assert name == "trace" or "Read:" in source
        assert (name in NAMED, name in SCORED) == ("wanted.system" in source, ".scorer(" in source)
