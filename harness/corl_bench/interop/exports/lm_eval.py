"""A run as lm-eval's results: a folder for each system, with results and samples.

Held against: lm-eval 0.4.13, `loggers/evaluation_tracker.py`, `evaluator.py` and
`utils.make_table`. The metric is `acc` at the filter `none`: the share of samples that the
grader calls correct. Dollars stand under `corl`, in the results and beside each sample, as exact
decimal text; lm-eval's tools pass them by, and `corl-bench import lm-eval` reads them back.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from corl_bench.files import write_json, write_text
from corl_bench.interop.carried import KEY
from corl_bench.interop.exports.stored import Arm, StoredRun, names_of_files
from corl_bench.interop.staging import staged
from corl_bench.results import EpisodeRecord, encode_point

METRIC, FILTER = "acc", "none"


def write(run: StoredRun, out: Path) -> int:
    """Writes a folder; returns the number of its files.

    Raises:
        ConfigError: something is at `out` already.
        StorageError: it cannot be written.
    """
    date = run.created.strftime("%Y-%m-%dT%H-%M-%S.%f")
    by_label: dict[str, list[Arm]] = {}
    for arm in run.arms:
        by_label.setdefault(arm.label, []).append(arm)
    names = names_of_files(list(by_label))
    files = 0
    with staged(out) as part:
        for label, arms in by_label.items():
            folder = part / names[label]
            folder.mkdir(parents=True)
            tasks = names_of_files([arm.task for arm in arms])
            hashes = {}
            for arm in arms:
                rows = [_sample(run, arm, number, key) for number, key in enumerate(arm.problems)]
                text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                write_text(folder / f"samples_{tasks[arm.task]}_{date}.jsonl", text)
                hashes[arm.task] = _hash(
                    "".join(
                        row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for row in rows
                    )
                )
            results = _results(run, label, names[label], arms, hashes)
            write_json(folder / f"results_{date}.json", results)
            files += len(arms) + 1
    return files


def _sample(run: StoredRun, arm: Arm, number: int, problem_id: str) -> dict[str, Any]:
    samples = arm.problems[problem_id]
    key = (arm.task, problem_id)
    statement, gold = run.statements.get(key, ""), run.golds.get(key, "")
    doc = {"id": problem_id, "problem": statement, "answer": gold}
    return {
        "doc_id": number,
        "doc": doc,
        "target": gold,
        "arguments": {"gen_args_0": {"arg_0": statement, "arg_1": {}}},
        "resps": [[record.response for record in samples]],
        "filtered_resps": [record.answer for record in samples],
        "filter": FILTER,
        "metrics": [METRIC],
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(statement),
        "target_hash": _hash(gold),
        METRIC: float(_share(samples)),
        KEY: [run.carried(arm, record) for record in samples],
    }


def _results(
    run: StoredRun, label: str, name: str, arms: Sequence[Arm], hashes: Mapping[str, str]
) -> dict[str, Any]:
    manifest = run.manifest
    scores = {}
    for arm in arms:
        shares = [_share(samples) for samples in arm.problems.values()]
        mean, error = _mean_and_error(shares)
        scores[arm.task] = {
            "name": arm.task,
            "alias": arm.task,
            "sample_len": len(shares),
            f"{METRIC},{FILTER}": mean,
            f"{METRIC}_stderr,{FILTER}": error,
        }
    tasks = manifest["tasks"]
    return {
        "results": scores,
        "group_subtasks": {},
        "configs": {
            arm.task: {
                "task": arm.task,
                "output_type": "generate_until",
                "doc_to_text": "{{problem}}",
                "doc_to_target": "{{answer}}",
                "metric_list": [
                    {"metric": METRIC, "aggregation": "mean", "higher_is_better": True}
                ],
                "repeats": manifest["samples"],
                "num_fewshot": 0,
                "metadata": {"digest": tasks[arm.task]["digest"]},
            }
            for arm in arms
        },
        "versions": {arm.task: "N/A" for arm in arms},
        "n-shot": {arm.task: 0 for arm in arms},
        "higher_is_better": {arm.task: {METRIC: True} for arm in arms},
        "n-samples": {
            arm.task: {"original": tasks[arm.task]["total"], "effective": len(arm.problems)}
            for arm in arms
        },
        "config": {
            "model": "corl",
            "model_args": {"system": arms[0].system, "budget": arms[0].budget},
            "batch_size": 1,
            "limit": manifest["limit"],
            "random_seed": manifest["seed"],
        },
        "git_hash": None,
        "date": run.created.timestamp(),
        "task_hashes": dict(hashes),
        "model_source": "corl",
        "model_name": label,
        "model_name_sanitized": name,
        KEY: {
            "corl_bench": manifest["corl_bench"],
            "run_id": manifest["run_id"],
            "grader": manifest["grader"],
            "simulated": run.summary.simulated,
            "points": [encode_point(point) for arm in arms for point in arm.points],
        },
    }


def _share(samples: Sequence[EpisodeRecord]) -> Fraction:
    return Fraction(sum(record.verdict == "correct" for record in samples), len(samples))


def _mean_and_error(shares: Sequence[Fraction]) -> tuple[float, float | str]:
    """The mean and its standard error by the sample deviation, as lm-eval has them."""
    mean = sum(shares, Fraction(0)) / len(shares)
    if len(shares) < 2:
        return float(mean), "N/A"
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    return float(mean), math.sqrt(variance / len(shares))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
