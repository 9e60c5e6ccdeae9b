"""A run in the schema of Every Eval Ever: an aggregate and its samples for each system.

Held against: every-eval-ever 0.3.0, `schemas/eval.schema.json` and
`schemas/instance_level_eval.schema.json`. The layout is that project's,
`data/<task>/corl-bench/<system>/<uuid>.json` and `<uuid>_samples.jsonl`. There are two results,
accuracy and mean cost; the schema's scores are floats, so exact dollars stand beside them as
decimal text, and the episode stands in each sample's metadata.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from corl_bench.files import write_json, write_text
from corl_bench.interop.carried import KEY
from corl_bench.interop.exports.stored import Arm, StoredRun, names_of_files
from corl_bench.interop.staging import staged
from corl_bench.money.amounts import format_usd
from corl_bench.results import EpisodeRecord, OperatingPoint

SCHEMA_VERSION = "0.3.0"
DEVELOPER = "corl-bench"


def write(run: StoredRun, out: Path) -> int:
    """Writes a folder; returns the number of its files.

    Raises:
        ConfigError: something is at `out` already.
        StorageError: it cannot be written.
    """
    tasks = names_of_files(sorted({arm.task for arm in run.arms}))
    names = names_of_files(sorted({arm.label for arm in run.arms}))
    with staged(out) as part:
        for arm in run.arms:
            place = Path("data", tasks[arm.task], DEVELOPER, names[arm.label])
            name = _uuid_of(f"{run.manifest['instance']}|{arm.task}|{arm.label}")
            (part / place).mkdir(parents=True, exist_ok=True)
            head = _head(run, arm, names[arm.label])
            rows = [_sample(run, arm, record, head) for record in arm.episodes]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            samples = place / f"{name}_samples.jsonl"
            write_text(part / samples, text)
            head["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": samples.as_posix(),
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256((part / samples).read_bytes()).hexdigest(),
                "total_rows": len(rows),
            }
            write_json(part / place / f"{name}.json", head)
    return 2 * len(run.arms)


def _head(run: StoredRun, arm: Arm, name: str) -> dict[str, Any]:
    manifest = run.manifest
    model = f"{DEVELOPER}/{name}"
    stamp = str(int(run.created.timestamp()))
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{arm.task}/{model}/{stamp}",
        "evaluation_timestamp": manifest["created"],
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": f"corl-bench run {manifest['run_id']}",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "corl-bench", "version": manifest["corl_bench"]},
        "model_info": {
            "name": arm.label,
            "id": model,
            "developer": DEVELOPER,
            "additional_details": {
                "deployment_type": "unknown",
                "model_availability": "unknown",
                "kind": "routing system",
                "sees_golds": _word(arm.is_oracle),
                "simulated": _word(run.summary.simulated),
                "experts": ", ".join(sorted({c.model for r in arm.episodes for c in r.calls})),
            },
        },
        "evaluation_results": [
            result
            for point in arm.points
            for result in (_accuracy(run, arm, point), _cost(run, arm, point))
        ],
    }


def _accuracy(run: StoredRun, arm: Arm, point: OperatingPoint) -> dict[str, Any]:
    low, high = point.accuracy_interval
    return {
        "evaluation_result_id": _result_id(arm, point, "accuracy"),
        "evaluation_name": arm.task,
        "source_data": _source(run, arm),
        "evaluation_timestamp": run.manifest["created"],
        "metric_config": {
            "evaluation_description": "share of samples that the grader calls correct (pass@1)",
            "metric_id": "accuracy",
            "metric_name": "Accuracy",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": point.accuracy,
            "details": {
                **{f"verdict_{name}": str(count) for name, count in point.verdicts.items()},
                "grader": str(run.manifest["grader"]),
            },
            "uncertainty": {
                "confidence_interval": {
                    "lower": low,
                    "upper": high,
                    "confidence_level": 0.95,
                    "method": "Agresti-Coull, over problems",
                },
                "num_samples": point.episodes,
            },
        },
    }


def _cost(run: StoredRun, arm: Arm, point: OperatingPoint) -> dict[str, Any]:
    details = {
        "mean_cost_usd": format_usd(point.mean_cost_usd),
        "total_cost_usd": format_usd(point.total_cost_usd),
        "unsettled_usd": format_usd(point.unsettled_usd),
        "cost_basis": point.cost_basis,
    }
    if point.budget is not None and point.budget_usd is not None:
        details |= {
            "budget": point.budget,
            "budget_usd": format_usd(point.budget_usd),
            "told_budget": _word(point.told_budget),
            "violations": str(point.violations),
        }
    return {
        "evaluation_result_id": _result_id(arm, point, "mean_cost_usd"),
        "evaluation_name": f"{arm.task} cost",
        "source_data": _source(run, arm),
        "evaluation_timestamp": run.manifest["created"],
        "metric_config": {
            "evaluation_description": "mean list cost of a problem, every call counted",
            "metric_id": "corl-bench.mean_cost_usd",
            "metric_name": "Mean cost",
            "metric_kind": "cost",
            "metric_unit": "usd",
            "lower_is_better": True,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": "Infinity",
        },
        "score_details": {"score": float(point.mean_cost_usd), "details": details},
    }


def _sample(
    run: StoredRun, arm: Arm, record: EpisodeRecord, head: dict[str, Any]
) -> dict[str, Any]:
    key = (record.task, record.problem_id)
    statement, gold = run.statements.get(key, ""), run.golds.get(key)
    reference = [] if gold is None else [gold]
    usages = [call.usage for call in record.calls if call.usage is not None]
    inputs = sum(usage.total_input_tokens for usage in usages)
    outputs = sum(usage.output_tokens for usage in usages)
    is_correct = record.verdict == "correct"
    row: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": head["evaluation_id"],
        "model_id": head["model_info"]["id"],
        "evaluation_name": arm.task,
        "sample_id": record.problem_id,
        "sample_hash": _sha256("".join((statement, *reference))),
        "interaction_type": "single_turn",
        "input": {"raw": statement, "reference": reference},
        "output": {"raw": [] if record.response is None else [record.response]},
        "answer_attribution": [],
        "evaluation": {"score": float(is_correct), "is_correct": is_correct},
        "token_usage": {
            "input_tokens": inputs,
            "output_tokens": outputs,
            "total_tokens": inputs + outputs,
            "input_tokens_cache_read": sum(usage.cached_input_tokens for usage in usages),
            "input_tokens_cache_write": sum(
                usage.cache_write_tokens + usage.cache_write_1h_tokens for usage in usages
            ),
            "reasoning_tokens": sum(usage.reasoning_tokens for usage in usages),
        },
        "performance": {"latency_ms": record.latency_s * 1000},
        "error": (record.detail or "error") if record.verdict == "error" else None,
        "metadata": {
            "verdict": record.verdict,
            "sample": str(record.sample),
            "list_cost_usd": format_usd(record.list_cost_usd),
            "cost_basis": record.cost_basis,
            KEY: json.dumps(run.carried(arm, record), ensure_ascii=False),
        },
    }
    if arm.points:
        row["evaluation_result_id"] = _result_id(arm, arm.points[0], "accuracy")
    if record.answer is not None:
        row["answer_attribution"].append(
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": record.answer,
                "extraction_method": "custom",
                "is_terminal": True,
            }
        )
    return row


def _source(run: StoredRun, arm: Arm) -> dict[str, Any]:
    task = run.manifest["tasks"][arm.task]
    return {
        "dataset_name": arm.task,
        "source_type": "other",
        "additional_details": {
            "source": str(task["source"]),
            "digest": str(task["digest"]),
            "digest_status": str(task.get("digest_status", "unpinned")),
            "problems": str(task["problems"]),
        },
    }


def _result_id(arm: Arm, point: OperatingPoint, metric: str) -> str:
    budget = "" if point.budget is None else f"@{point.budget}"
    return f"{arm.task}/{arm.system}{budget}/{metric}"


def _uuid_of(text: str) -> str:
    """A UUID of version 4 by its form, the same for the same text."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _word(truth: bool) -> str:
    return "true" if truth else "false"
