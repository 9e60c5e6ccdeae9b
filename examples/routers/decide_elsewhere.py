"""Decisions made outside of the bench, as a file to be played.

Reads a run's `problems.jsonl` (or any JSON lines with `id` and `problem`) and writes a decision
for each problem:

    python decide_elsewhere.py runs/demo/problems.jsonl > decisions.jsonl
    corl-bench run --task synth -s decisions:decisions.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CHEAP, DEAR = "nano", "reasoner"


def main() -> None:
    """Short problems go to the cheap expert."""
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        expert = CHEAP if len(row["problem"]) < 150 else DEAR
        print(json.dumps({"problem_id": row["id"], "expert": expert}))


if __name__ == "__main__":
    main()
