"""A router that runs outside of the bench and only leaves a trace: every call, with its usage.

    python every_shape/elsewhere.py runs/known/problems.jsonl http://127.0.0.1:8130/v1

It asks a cheap model, and a dearer one where the reply is cut or states no answer. Of its own
verdicts and costs the trace has none: answers are graded and calls priced where it is imported.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

MODELS = {"nano": "simulated-gpt-4.1-nano", "large": "simulated-gpt-4.1"}


def ask(base_url: str, expert: str, problem: str) -> dict[str, Any]:
    """One call, as the trace has it."""
    prompt = f"{problem}\n\nEnd with the final answer inside \\boxed{{}}."
    body = {"model": MODELS[expert], "messages": [{"role": "user", "content": prompt}]}
    request = urllib.request.Request(
        f"{base_url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        said = json.loads(reply.read())
    choice = said["choices"][0]
    return {
        "expert": expert,
        "model": MODELS[expert],
        "usage": said["usage"],
        "text": choice["message"]["content"] or "",
        "finish": "length" if choice["finish_reason"] == "length" else "stop",
    }


def main() -> None:
    """Writes an episode for each problem of a file."""
    path, base_url = sys.argv[1:]
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        calls = [ask(base_url, "nano", row["problem"])]
        if "\\boxed" not in calls[0]["text"]:
            calls.append(ask(base_url, "large", row["problem"]))
        episode = {
            "task": row["task"],
            "problem_id": row["id"],
            "problem": row["problem"],
            "system": "elsewhere",
            "calls": calls,
            "answer": calls[-1]["text"],
        }
        print(json.dumps(episode))


if __name__ == "__main__":
    main()
