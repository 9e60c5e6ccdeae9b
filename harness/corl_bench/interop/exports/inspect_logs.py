"""A run as inspect logs: a folder of `.eval` files, one for each system on each task.

Held against: inspect-ai 0.3.285, whose `read_eval_log` reads what is written here, and whose own
logs are zip archives of the same members. The one score is `corl`, C or I. Tokens stand where
inspect has them, by model; inspect's dollars are floats, so the exact ones stand in the sample's
metadata under `corl`, whence `corl-bench import inspect` takes them.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from corl_bench.interop.carried import KEY
from corl_bench.interop.exports.stored import Arm, StoredRun, names_of_files
from corl_bench.interop.staging import staged
from corl_bench.results import CallRecord, EpisodeRecord, encode_point
from corl_bench.text import well_formed

SCORER = "corl"
_STOPS = {"stop": "stop", "length": "max_tokens", "refusal": "content_filter"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Of all members, so that one run gives the same bytes each time."""


def write(run: StoredRun, out: Path) -> int:
    """Writes a folder of logs; returns their number.

    Raises:
        ConfigError: something is at `out` already.
        StorageError: it cannot be written.
    """
    names = names_of_files([f"{arm.task}_{arm.label}" for arm in run.arms])
    stamp = run.created.strftime("%Y-%m-%dT%H-%M-%S-00-00")
    with staged(out) as part:
        part.mkdir()
        for arm in run.arms:
            _write_log(part / f"{stamp}_{names[f'{arm.task}_{arm.label}']}.eval", run, arm)
    return len(run.arms)


def _write_log(path: Path, run: StoredRun, arm: Arm) -> None:
    spec, plan = _spec(run, arm), {"name": "plan", "steps": [], "config": {}}
    summaries = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "_journal/start.json", {"version": 2, "eval": spec, "plan": plan})
        for record in arm.episodes:
            sample = _sample(run, arm, record)
            _add(archive, f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
            summaries.append(
                {
                    **{name: sample[name] for name in ("id", "epoch", "input", "target")},
                    **{name: sample[name] for name in ("scores", "model_usage", "total_time")},
                    "metadata": {},
                    "completed": True,
                }
            )
        _add(archive, "summaries.json", summaries)
        _add(archive, "header.json", _header(run, arm, spec, plan))


def _add(archive: zipfile.ZipFile, name: str, value: Any) -> None:
    member = zipfile.ZipInfo(name, date_time=_EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    archive.writestr(member, well_formed(text).encode())


def _spec(run: StoredRun, arm: Arm) -> dict[str, Any]:
    manifest, task = run.manifest, run.manifest["tasks"][arm.task]
    return {
        "eval_id": _id(run, arm, "eval"),
        "run_id": manifest["instance"],
        "created": manifest["created"],
        "task": arm.task,
        "task_id": _id(run, arm, "task"),
        "task_version": 0,
        "task_display_name": arm.task,
        "dataset": {
            "name": arm.task,
            "samples": len(arm.problems),
            "sample_ids": list(arm.problems),
            "shuffled": False,
        },
        "model": f"corl/{arm.label}",
        "config": {"epochs": manifest["samples"]},
        "packages": {"corl-bench": manifest["corl_bench"]},
        "metadata": {"digest": task["digest"], "grader": manifest["grader"]},
        "scorers": [{"name": SCORER, "options": {}, "metrics": [], "metadata": {}}],
    }


def _header(
    run: StoredRun, arm: Arm, spec: Mapping[str, Any], plan: Mapping[str, Any]
) -> dict[str, Any]:
    scores = [
        sum(record.verdict == "correct" for record in samples) / len(samples)
        for samples in arm.problems.values()
    ]
    mean = sum(scores) / len(scores)
    spread = sum((score - mean) ** 2 for score in scores)
    error = math.sqrt(spread / (len(scores) - 1) / len(scores)) if len(scores) > 1 else 0.0
    return {
        "version": 2,
        "status": "success",
        "eval": spec,
        "plan": plan,
        "results": {
            "total_samples": len(arm.episodes),
            "completed_samples": len(arm.episodes),
            "scores": [
                {
                    "name": SCORER,
                    "scorer": SCORER,
                    "params": {},
                    "metrics": {
                        "accuracy": {"name": "accuracy", "value": mean, "params": {}},
                        "stderr": {"name": "stderr", "value": error, "params": {}},
                    },
                }
            ],
        },
        "stats": {
            "started_at": run.manifest["created"],
            "completed_at": run.manifest["created"],
            "model_usage": _usage(call for record in arm.episodes for call in record.calls),
        },
        "metadata": {
            KEY: {
                "run_id": run.manifest["run_id"],
                "simulated": run.summary.simulated,
                "points": [encode_point(point) for point in arm.points],
            }
        },
    }


def _sample(run: StoredRun, arm: Arm, record: EpisodeRecord) -> dict[str, Any]:
    key = (record.task, record.problem_id)
    statement, gold = run.statements.get(key, ""), run.golds.get(key, "")
    text = record.response or ""
    finish = record.calls[-1].finish if record.calls else None
    reply = {"content": text, "source": "generate", "role": "assistant"}
    return {
        "id": record.problem_id,
        "epoch": record.sample + 1,
        "input": statement,
        "target": gold,
        "messages": [{"content": statement, "source": "input", "role": "user"}, reply],
        "output": {
            "model": f"corl/{arm.label}",
            "choices": [{"message": reply, "stop_reason": _STOPS.get(finish or "", "stop")}],
            "completion": text,
        },
        "scores": {
            SCORER: {
                "value": "C" if record.verdict == "correct" else "I",
                "answer": record.answer,
                "explanation": ": ".join(filter(None, (record.verdict, record.detail))),
            }
        },
        "metadata": {KEY: {**run.carried(arm, record), "answered": _answered(record)}},
        "store": {},
        "events": [],
        "model_usage": _usage(record.calls),
        "total_time": record.latency_s,
        "working_time": record.latency_s,
    }


def _answered(record: EpisodeRecord) -> bool:
    """Whether there was a response: inspect has no place for none."""
    return record.response is not None


def _usage(calls: Iterable[CallRecord]) -> dict[str, dict[str, int]]:
    """Tokens by model, in inspect's classes: cached ones stand apart from input."""
    usages: dict[str, dict[str, int]] = {}
    for call in calls:
        if (usage := call.usage) is None:
            continue
        counts = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_input_tokens + usage.output_tokens,
            "input_tokens_cache_write": usage.cache_write_tokens + usage.cache_write_1h_tokens,
            "input_tokens_cache_read": usage.cached_input_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        }
        sums = usages.setdefault(call.model, dict.fromkeys(counts, 0))
        for name, count in counts.items():
            sums[name] += count
    return usages


def _id(run: StoredRun, arm: Arm, what: str) -> str:
    text = f"{run.manifest['instance']}|{arm.task}|{arm.label}|{what}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:22]
