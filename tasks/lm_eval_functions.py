r"""Rows and grading of the lm-eval tasks in the folders here (`tasks/<name>/corl_<name>.yaml`).

lm-eval loads this file by itself (`!function`), so it runs with or without corl-bench installed,
and the metrics of a result say which it was:

- With it, rows are those of `corl-bench run`: local files or the hub, mended, held against the
  pinned digest. `acc` is the verdict of its checker, `exact_match` stands beside it.
- Without it, rows come from the hub as `task.toml` declares them, unchecked, and `exact_match`
  alone is given: of the last box (else the last number), less what is only typography.

`list_cost_usd` is there where a response says what it cost: those of the model `corl` do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_TYPOGRAPHY = re.compile(r"\\left|\\right|\\[!,;: ]|[\s$]|(?<=\\)[dt](?=frac)")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_PLAIN_NUMBER = re.compile(r"(-?)0*(\d+)(?:\.0*)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def load(corl_task: str, data_dir: str | None = None, **others: Any) -> dict[str, Any]:
    """The rows of a task as lm-eval wants them.

    Args:
        corl_task: name of the task, from the YAML's metadata.
        data_dir: folder with `<task>.jsonl`, from `--metadata` or `--model_args`; else what
            CORL_DATA_DIR names, else the `datasets` library is asked.
        others: whatever else lm-eval passes on: all of `--model_args`.
    """
    from datasets import Dataset

    try:
        from corl_bench.interop.lm_eval.rows import rows_of
    except ImportError:
        rows = list(_declared_rows(corl_task))
    else:
        rows = rows_of(corl_task, data_dir)
    return {"test": Dataset.from_list(rows)}


def process_results(doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
    """Metrics of one response; see the head of this file."""
    from lm_eval.api.registry import get_metric

    response = results[0]
    gold, answer = _plain(doc["answer"]), _plain(_final_answer(response))
    matched = get_metric("exact_match")(references=[gold], predictions=[answer])["exact_match"]
    metrics = {"exact_match": float(matched)}
    try:
        from corl_bench.grading import grade
    except ImportError:
        pass
    else:
        verdict = grade(doc["answer"], response, kind=doc["kind"])
        metrics["acc"] = float(verdict.correct)
    if (cost_usd := getattr(response, "list_cost_usd", None)) is not None:
        metrics["list_cost_usd"] = float(cost_usd)
    return metrics


def _declared_rows(name: str) -> Iterator[dict[str, Any]]:
    """Rows of a task's default split from the hub, where corl-bench is not installed."""
    import tomllib

    from datasets import load_dataset

    path = Path(__file__).with_name(name) / "task.toml"
    task = tomllib.loads(path.read_text(encoding="utf-8"))
    source = task["splits"][task["default_split"]].get("source")
    if source is None:
        raise SystemExit(f"corl_{name}: its rows need corl-bench: pip install corl-bench")
    number = 0
    for configuration in source.get("configurations", [None]):
        for split in source["splits"]:
            revision = source.get("revision")
            for row in load_dataset(
                source["dataset"], configuration, split=split, revision=revision
            ):
                *before, last = (str(row[column]).strip() for column in source["problem"])
                ended = [part if part.endswith(".") else f"{part}." for part in before]
                problem = " ".join([*ended, last])
                yield {
                    "corl_task": name,
                    "id": f"{name}/{number}",
                    "problem": problem,
                    "answer": _gold(row[source["answer"]], source.get("answer_form")),
                    "kind": task["kind"],
                    "prompt": task["prompt"].strip("\n").replace("{problem}", problem),
                }
                number += 1


def _gold(answer: object, form: str | None) -> str:
    text = str(answer)
    if form == "hashes":
        text = text.rpartition("####")[2]
    elif form == "boxed":
        text = _final_answer(text)
    return text.strip()


def _final_answer(text: str) -> str:
    """What the last box holds, else the last number, else nothing."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return next(reversed(_NUMBER.findall(text)), "")
    depth = 0
    for place in range(start + len("\\boxed"), len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if not depth:
            return text[start + len("\\boxed{") : place]
    return text[start + len("\\boxed{") :]


def _plain(answer: str) -> str:
    """An answer without what is only typography; a number without commas and idle zeros."""
    text = _TYPOGRAPHY.sub("", answer).rstrip(".")
    number = _PLAIN_NUMBER.fullmatch(_THOUSANDS.sub("", text))
    return number[1] + number[2] if number else text
