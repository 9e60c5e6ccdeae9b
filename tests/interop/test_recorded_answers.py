"""Real answers of real models, laid out as ZeroEval does, in and played."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.results import read_episodes, read_summary

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Call = Callable[..., tuple[int, str, str]]
MODELS = ("Meta-Llama-3.1-8B-Instruct", "gpt-4o-mini-2024-07-18")
PROBLEMS = 150


def rows_of(path: Path) -> list[dict[str, Any]]:
    with zstd.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line, _ in zip(file, range(PROBLEMS), strict=False)]


def test_zeroeval_folders_of_real_models(shared_dir: Path, tmp_path: Path, call: Call) -> None:
    source = shared_dir / "recordings/gsm"
    problems = {row["problem_id"]: row for row in rows_of(source / "problems.jsonl.zst")}
    folder = tmp_path / "gsm"
    folder.mkdir()
    judged = {}
    for model in MODELS:
        answers = rows_of(source / f"{model}.jsonl.zst")
        judged |= {
            (f"single:{model}", row["problem_id"]): row["correct_by_source_grader"]
            for row in answers
        }
        results = [
            {
                "id": row["problem_id"],
                "question": problems[row["problem_id"]]["problem"],
                "answer": f"# {row['gold']}",
                "output": [row["response_text"]],
                "dataset": "gsm",
            }
            for row in answers
        ]
        (folder / f"{model}.json").write_text(json.dumps(results))
    run, store, task = tmp_path / "run", tmp_path / "s.sqlite", tmp_path / "gsm8k.jsonl"
    code, said, _ = call("import", "zeroeval", folder, "--out", run)
    assert code == 0, said
    episodes = read_episodes(run)
    assert len(episodes) == len(MODELS) * PROBLEMS
    agreed = sum((e.verdict == "correct") == judged[e.system, e.problem_id] for e in episodes)
    assert agreed / len(episodes) > 0.98

    code, said, _ = call(
        *("import", "zeroeval", folder, "--recordings", store, "--write-task", task),
        "--estimate-tokens",
    )
    assert code == 0, said
    pool = tmp_path / "pool.toml"
    pool.write_text(
        f'[experts.llama]\nprovider = "recorded"\nmodel = "{MODELS[0]}"\n'
        'price = "openrouter/meta-llama/llama-3.1-8b-instruct"\n'
        f'[experts.mini]\nprovider = "recorded"\nmodel = "{MODELS[1]}"\n'
        'price = "openai/gpt-4o-mini"\n'
    )
    played = tmp_path / "played"
    code, said, _ = call(
        *("run", "--task", task, "--pool", pool, "--mode", "replay", "--recordings", store),
        *("--system", "single:*", "--price-date", "2026-08-21", "--out", played, "--quiet"),
    )
    assert code == 0, said
    imported = {p.system.rpartition(":")[2]: p.accuracy for p in read_summary(run).rows}
    points = {p.system: p for p in read_summary(played).rows}
    assert points["single:llama"].accuracy == imported[MODELS[0]]
    assert points["single:mini"].accuracy == imported[MODELS[1]]
    assert points["single:mini"].total_cost_usd > points["single:llama"].total_cost_usd > Decimal(0)
    assert points["single:mini"].estimated_calls == PROBLEMS
