"""Commands that write one file of their own: of judged answers, of imported replies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from crash.bench import Bench, Chain, killed_often
from crash.history import stored_calls


def kill_grades(bench: Bench, kills: int) -> None:
    """`corl-bench grade --out`: the file is whole or not there."""
    answers = bench.folder / "answers.jsonl"
    rows = ({"id": n, "gold": str(n), "response": f"It is {n + n % 2}."} for n in range(300))
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = bench.folder / "grade-whole"
    whole.mkdir()
    command = ["corl-bench", "grade", str(answers), "--out"]
    total = bench.count([*command, str(whole / "graded.jsonl")], under=whole)
    wanted = (whole / "graded.jsonl").read_bytes()

    def chain(number: int) -> Chain:
        place = bench.folder / f"grade-{number}"
        place.mkdir()
        out = place / "graded.jsonl"

        def look() -> None:
            found = out.read_bytes() if out.exists() else wanted
            bench.expect(found == wanted, f"{out} is there in part")

        def end() -> None:
            bench.finish([*command, str(out)])
            bench.expect(out.read_bytes() == wanted, f"{out} is not what it should be")

        return Chain([*command, str(out)], place, look, end)

    killed_often(bench, "grade", kills, total, chain)


def kill_imports(bench: Bench, kills: int) -> None:
    """`corl-bench recordings import`: all rows or none."""
    answers = bench.folder / "recorded.jsonl"
    rows = (
        {"problem": f"What is {n} + {n}?", "expert": "small", "response": f"It is {2 * n}. " * 40}
        | {"usage": {"input_tokens": 14, "output_tokens": 6}}
        for n in range(2000)
    )
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def command(store: Path) -> list[str]:
        return ["corl-bench", "recordings", "import", str(store), str(answers)]

    whole = bench.folder / "import-whole"
    whole.mkdir()
    total = bench.count(command(whole / "store.sqlite"), under=whole)

    def chain(number: int) -> Chain:
        place = bench.folder / f"import-{number}"
        place.mkdir()
        store = place / "store.sqlite"

        def look() -> None:
            copied = bench.folder / "copied"
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(place, copied)
            found = len(stored_calls(copied / store.name))
            bench.expect(found in (0, 2000), f"{store} has {found} rows of 2000")

        def end() -> None:
            bench.finish(command(store))
            bench.expect(len(stored_calls(store)) == 2000, f"{store} lacks rows")
            shutil.rmtree(place)

        return Chain(command(store), place, look, end)

    killed_often(bench, "import", kills, total, chain)
