"""Runs that are killed, and runs that are being judged again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from corl_bench.files import read_lines
from corl_bench.results import canonical_lines, read_episodes, read_manifest
from crash.bench import Bench, Chain, killed_often
from crash.history import History, excess, read_left


def kill_runs(bench: Bench, kills: int, *, kind: str) -> None:
    """`corl-bench run`: with a store of its own, into a shared one, or live."""
    systems = ["--system", "single:*"]
    if kind != "live":
        systems += ["--system", "vote:nano,mini,large", "--system", "cascade:nano>large"]
        systems += ["--system", "oracle"]

    def command(out: Path, store: Path | None) -> list[str]:
        modes = {"run": [], "live": ["--mode", "live"], "record": ["--mode", "record"]}[kind]
        return [
            *("corl-bench", "run", "--task", "synth", "--limit", "14", "--quiet"),
            *("--pool", str(bench.pool), "--out", str(out), "--concurrency", "8"),
            *(*systems, *modes, *(["--recordings", str(store)] if store else [])),
        ]

    def place(name: str) -> tuple[Path, Path | None, Path]:
        under = bench.folder / f"{kind}-{name}"
        under.mkdir()
        return under / "run", under / "shared.sqlite" if kind == "record" else None, under

    whole, store, under = place("whole")
    bench.log.news()
    total = bench.count(command(whole, store), under=under)
    wanted = bench.log.news()

    def chain(number: int) -> Chain:
        run_dir, store, under = place(str(number))
        history = History(bench, run_dir, store)

        def end() -> None:
            bench.finish(command(run_dir, store))
            ledger = history.close()
            same_runs(bench, run_dir, whole)
            interrupted = sum(line["status"] == "interrupted" for line in ledger)
            asked = excess(history.requests, wanted)
            bench.expect(asked <= interrupted, f"{run_dir}: {asked} requests too many")
            before = (run_dir / "ledger.jsonl").read_bytes()
            bench.finish(command(run_dir, store))
            unchanged = (run_dir / "ledger.jsonl").read_bytes() == before and not bench.log.news()
            bench.expect(unchanged, f"{run_dir}: a finished run has asked or booked something")
            shutil.rmtree(under)

        return Chain(command(run_dir, store), under, lambda: history.look(), end)

    killed_often(bench, kind, kills, total, chain)


def kill_regrades(bench: Bench, kills: int) -> None:
    """`corl-bench regrade --write` of a run by an older grader."""
    old = bench.folder / "regrade-old"
    bench.finish(
        ["corl-bench", "run", "--limit", "8", "--system", "single:*", "--quiet", "--out", str(old)]
    )
    rows = list(read_lines(old / "episodes.jsonl"))
    for row in rows[::3]:
        row |= {"verdict": "wrong", "answer": "of old"}
    (old / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = json.loads((old / "manifest.json").read_bytes())
    manifest["grader"] = manifest["identity"]["grader"] = "0"
    (old / "manifest.json").write_text(json.dumps(manifest))
    whole = bench.folder / "regrade-whole"
    shutil.copytree(old, whole)
    total = bench.count(["corl-bench", "regrade", str(whole), "--write"], under=whole)

    def chain(number: int) -> Chain:
        run_dir = bench.folder / f"regrade-{number}"
        shutil.copytree(old, run_dir)
        command = ["corl-bench", "regrade", str(run_dir), "--write"]

        def end() -> None:
            bench.finish(command)
            same_runs(bench, run_dir, whole)
            ours, theirs = (
                {(r.key, r.verdict, r.answer) for r in read_episodes(d)} for d in (run_dir, whole)
            )
            bench.expect(ours == theirs, f"{run_dir}: other verdicts than without kills")
            notes = [
                [entry | {"at": ""} for entry in read_manifest(d)["regraded"]]
                for d in (run_dir, whole)
            ]
            bench.expect(notes[0] == notes[1], f"{run_dir}: other notes than without kills")
            pages = [(d / "report.html").read_text().replace(d.name, "") for d in (run_dir, whole)]
            bench.expect(len(pages[0]) == len(pages[1]), f"{run_dir}: the report is an old one")
            shutil.rmtree(run_dir)

        return Chain(command, run_dir, lambda: read_left(bench, run_dir), end)

    killed_often(bench, "regrade", kills, total, chain)


def same_runs(bench: Bench, run_dir: Path, whole: Path) -> None:
    """The same episodes to the byte, and the same figures; times apart."""
    lines = [canonical_lines(read_lines(d / "episodes.jsonl")) for d in (run_dir, whole)]
    bench.expect(lines[0] == lines[1], f"{run_dir}: other episodes than without kills")
    figures = []
    for directory in (run_dir, whole):
        summary = json.loads((directory / "summary.json").read_bytes())
        rows = [{k: v for k, v in r.items() if k != "timings"} for r in summary["rows"]]
        figures.append((rows, summary["finished"], summary["totals"]["list_cost_usd"]))
    bench.expect(figures[0] == figures[1], f"{run_dir}: another summary than without kills")
    left = {p.name for p in run_dir.iterdir()} ^ {p.name for p in whole.iterdir()}
    bench.expect(not left, f"{run_dir}: {', '.join(sorted(left))} in one of the folders alone")
