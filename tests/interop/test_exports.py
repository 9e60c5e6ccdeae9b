"""Runs in other formats: what real tools make of them, and that no figure is lost."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.interop.formats import EXPORTS
from corl_bench.money.ledger import read_ledger
from corl_bench.results import (
    EpisodeRecord,
    OperatingPoint,
    read_episodes,
    read_manifest,
    read_summary,
)

Call = Callable[..., tuple[int, str, str]]

FRUGAL = """
from decimal import Decimal

class Frugal:
    name = "frugal"
    reads_budget = True
    is_oracle = False

    async def solve(self, problem, budget, episode):
        dear = budget is not None and budget.usd > Decimal("0.001")
        episode.charge(Decimal("0.00001"), "deciding")
        episode.note(f"{len(problem)} characters")
        return (await episode.call(episode.experts[-1 if dear else 0].name)).text
"""
"""A system that is told its budget, charges a fee and notes something."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two samples, budgets that one system reads and all are scored at, an oracle."""
    from corl_bench.cli.main import main

    out = tmp_path_factory.mktemp("stored") / "run"
    out.with_name("frugal_router.py").write_text(FRUGAL)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ending:
        patch.syspath_prepend(out.parent)
        main(
            [
                *("run", "--limit", "4", "--samples", "2", "--out", str(out), "--quiet"),
                *("--system", "single:*", "--system", "cascade:nano>mini>large"),
                *("--system", "oracle", "--system", "python:frugal_router:Frugal"),
            ]
        )
    assert ending.value.code == 0
    return out


def figures(episodes: list[EpisodeRecord]) -> dict[str, tuple[object, ...]]:
    return {
        e.key: (
            *(e.verdict, e.answer, e.response, e.detail, e.latency_s, e.list_cost_usd),
            *(e.unsettled_usd, e.subject, e.level, e.events),
            tuple(replace(call, basis="metered") for call in e.calls),
            tuple(replace(fee, basis="stated") for fee in e.charges),
        )
        for e in episodes
    }


def label(point: OperatingPoint) -> str:
    return f"{point.system}@{point.budget}" if point.told_budget else point.system


def points_of(run: Path) -> dict[tuple[str, str, str | None], OperatingPoint]:
    """All rows, whatever their costs are based on."""
    return {
        (point.task, point.system, point.budget): replace(point, cost_basis="metered")
        for point in read_summary(run).rows
    }


@pytest.mark.parametrize(
    ("form", "spoil"),
    [
        ("inspect", lambda manifest: manifest["tasks"].clear()),
        ("every-eval-ever", lambda manifest: manifest["tasks"]["synth"].pop("source")),
        ("every-eval-ever", lambda manifest: manifest.pop("instance")),
    ],
)
def test_a_manifest_that_lacks_what_a_format_wants_is_one_line(
    run: Path, tmp_path: Path, call: Call, form: str, spoil: Callable[[dict[str, Any]], object]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    manifest = json.loads((broken / "manifest.json").read_text())
    spoil(manifest)
    (broken / "manifest.json").write_text(json.dumps(manifest))
    code, said, refusal = call("export", broken, "--format", form, "--out", tmp_path / "there")
    assert (code, said) == (2, "")
    assert "manifest.json is broken" in refusal
    assert refusal.count("\n") == 1
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("form", ["lm-eval", "inspect"])
def test_what_comes_back_has_every_figure_and_is_nobody_s_meter(
    run: Path, tmp_path: Path, call: Call, form: str
) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    assert call("export", run, "--format", form, "--out", there)[0] == 0
    code, said, _ = call("import", form, there, "--out", back)
    assert code == 0, said
    assert "SIMULATED" in said
    assert figures(read_episodes(back)) == figures(read_episodes(run))
    assert read_summary(back).list_cost_usd == read_summary(run).list_cost_usd
    assert sum(line.list_cost_usd for line in read_ledger(back)) == read_summary(run).list_cost_usd
    bases = {line.basis for line in read_ledger(back)}
    assert bases == {"self_reported"}
    assert points_of(back) == points_of(run)
    assert {budget for _, _, budget in points_of(back)} == {"low", "medium", "high"}
    assert {label(point) for point in read_summary(back).rows} >= {"frugal@low", "frugal@high"}
    assert read_manifest(back)["budgets"] == read_manifest(run)["budgets"]
    systems = {s["name"]: s["is_oracle"] for s in read_manifest(back)["systems"]}
    assert systems["oracle"] is True
    assert systems["single:nano"] is False
    again = tmp_path / "again"
    assert call("export", back, "--format", form, "--out", again, "--include-restricted")[0] == 0


def test_one_system_of_several_is_read_back_with_its_budgets(
    run: Path, tmp_path: Path, call: Call
) -> None:
    """The budgets of a run come along with each system, told or not."""
    for system in ("single:nano", "frugal"):
        there, back = tmp_path / f"{system}.there", tmp_path / f"{system}.back"
        options = ("--format", "lm-eval", "--system", system)
        assert call("export", run, *options, "--out", there)[0] == 0
        assert call("import", "lm-eval", there, "--out", back)[0] == 0
        ours = {key: point for key, point in points_of(run).items() if key[1] == system}
        assert points_of(back) == ours
    code, _, said = call("import", "lm-eval", there, "--out", tmp_path / "x", "--system", "mine")
    assert code == 2
    assert "an export of ours names its systems: leave out --system" in said


def test_the_csv_adds_up_to_the_last_digit(run: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "run.csv"
    code, said, _ = call("export", run, "--format", "csv", "--out", out)
    assert (code, said.strip()) == (0, f"wrote {out}: {len(read_episodes(run))} rows")
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(Decimal(row["list_cost_usd"]) for row in rows) == read_summary(run).list_cost_usd
    assert sum(int(row["output_tokens"]) for row in rows) == sum(
        call.usage.output_tokens for e in read_episodes(run) for call in e.calls if call.usage
    )
    assert {row["system"] for row in rows if row["is_oracle"] == "True"} == {"oracle"}


def test_parquet_has_the_rows_of_the_csv(run: Path, tmp_path: Path, call: Call) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    for form in ("csv", "parquet"):
        assert call("export", run, "--format", form, "--out", tmp_path / form)[0] == 0
    with (tmp_path / "csv").open(newline="") as file:
        texts = list(csv.DictReader(file))
    rows = parquet.read_table(tmp_path / "parquet").to_pylist()
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ] == texts
    assert isinstance(rows[0]["list_cost_usd"], str)


def test_one_run_gives_the_same_bytes_each_time(run: Path, tmp_path: Path, call: Call) -> None:
    for form in EXPORTS:
        copies = []
        for name in ("a", "b"):
            out = tmp_path / form / name
            assert call("export", run, "--format", form, "--out", out)[0] == 0
            files = [out] if out.is_file() else sorted(p for p in out.rglob("*") if p.is_file())
            copies.append([(p.name if p != out else "", p.read_bytes()) for p in files])
        assert copies[0] == copies[1]


def test_nothing_is_written_over_and_unknown_systems_are_refused(
    run: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for form in EXPORTS:
        code, _, said = call("export", run, "--format", form, "--out", run)
        assert code == 2
        assert "is there already" in said
        monkeypatch.chdir(empty)
        code, _, said = call("export", run, "--format", form, "--out", ".")
        assert (code, said.count("\n")) == (2, 1)
        assert ". is the folder that you are in: name a new one with --out" in said
    out = tmp_path / "x"
    code, _, said = call("export", run, "--format", "csv", "--out", out, "--system", "nobody")
    assert code == 2
    assert "has no system 'nobody'; it has cascade" in said
    assert not out.exists()
    code, _, said = call("export", tmp_path, "--format", "csv", "--out", out)
    assert code == 2
    assert "holds no run" in said


def test_texts_of_protected_tasks_stay_here(run: Path, tmp_path: Path, call: Call) -> None:
    guarded = tmp_path / "guarded"
    guarded.mkdir()
    for file in run.iterdir():
        if file.is_file():
            (guarded / file.name).write_bytes(file.read_bytes())
    manifest = read_manifest(guarded)
    manifest["tasks"]["synth"]["redistributable"] = False
    (guarded / "manifest.json").write_text(json.dumps(manifest))
    words = {e.response for e in read_episodes(run) if e.response and len(e.response) > 40}
    statements = [json.loads(line) for line in (run / "problems.jsonl").read_text().splitlines()]
    for form in ("lm-eval", "every-eval-ever", "csv"):
        for name, more in (("closed", ()), ("open", ("--include-restricted",))):
            out = tmp_path / form / name
            call("export", guarded, "--format", form, "--out", out, *more)
            files = [out] if out.is_file() else [p for p in out.rglob("*") if p.is_file()]
            text = "".join(p.read_text() for p in files)
            shown = any(json.dumps(word, ensure_ascii=False)[1:40] in text for word in words)
            told = json.dumps(statements[0]["problem"], ensure_ascii=False)[1:40] in text
            assert (shown, told and form != "csv") == (
                name == "open",
                name == "open" and form != "csv",
            )
    back = tmp_path / "back"
    code, said, _ = call("import", "lm-eval", tmp_path / "lm-eval/closed", "--out", back)
    assert code == 0, said
    assert read_summary(back).list_cost_usd == read_summary(run).list_cost_usd


def test_every_eval_ever_fits_its_schema(run: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "eee"
    assert call("export", run, "--format", "every-eval-ever", "--out", out)[0] == 0
    heads = sorted(out.rglob("*.json"))
    points = {label(p): p for p in read_summary(run).rows}
    assert len(heads) == len(points)
    for path in heads:
        head = json.loads(path.read_text())
        point = points[head["model_info"]["name"]]
        details = head["detailed_evaluation_results"]
        samples = out / details["file_path"]
        rows = [json.loads(line) for line in samples.read_text().splitlines()]
        assert len(rows) == details["total_rows"] == point.episodes
        assert sum(Decimal(row["metadata"]["list_cost_usd"]) for row in rows) == (
            point.total_cost_usd
        )
        costs = {
            r["score_details"]["details"]["total_cost_usd"]
            for r in head["evaluation_results"]
            if r["metric_config"]["metric_kind"] == "cost"
        }
        assert {Decimal(cost) for cost in costs} == {point.total_cost_usd}
        scores = [row["evaluation"]["score"] for row in rows]
        assert sum(scores) / len(scores) == pytest.approx(point.accuracy)
    _validate(out)


def _validate(out: Path) -> None:
    """By the schemas of every-eval-ever, which installs on Python 3.12 and later."""
    spec = importlib.util.find_spec("every_eval_ever")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("every-eval-ever is not installed: its schemas were not checked")
    jsonschema = pytest.importorskip("jsonschema", reason="validating needs jsonschema")
    folder = Path(spec.submodule_search_locations[0]) / "schemas"
    head = json.loads((folder / "eval.schema.json").read_text())
    row = json.loads((folder / "instance_level_eval.schema.json").read_text())
    for path in out.rglob("*.json"):
        jsonschema.validate(json.loads(path.read_text()), head)
    for path in out.rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            jsonschema.validate(json.loads(line), row)


def test_inspect_reads_its_logs(run: Path, tmp_path: Path, call: Call) -> None:
    log = pytest.importorskip("inspect_ai.log", reason="inspect-ai is not installed")
    out = tmp_path / "logs"
    assert call("export", run, "--format", "inspect", "--out", out)[0] == 0
    points = {label(p): p for p in read_summary(run).rows}
    found = {}
    for path in sorted(out.glob("*.eval")):
        read = log.read_eval_log(str(path))
        accuracy = read.results.scores[0].metrics["accuracy"].value
        found[read.eval.model.removeprefix("corl/")] = accuracy
        usage = read.stats.model_usage
        assert (
            sum(u.output_tokens for u in usage.values())
            == points[read.eval.model.removeprefix("corl/")].output_tokens
        )
        assert len(read.samples) == points[read.eval.model.removeprefix("corl/")].episodes
    assert found == {name: pytest.approx(point.accuracy) for name, point in points.items()}


def test_lm_eval_shows_its_results(run: Path, tmp_path: Path, call: Call) -> None:
    utils = pytest.importorskip("lm_eval.utils", reason="lm-eval is not installed")
    out = tmp_path / "results"
    assert call("export", run, "--format", "lm-eval", "--out", out)[0] == 0
    points = {label(p): p for p in read_summary(run).rows}
    for folder in out.iterdir():
        files = [str(path) for path in folder.iterdir()]
        (results,) = utils.get_results_filenames(files)
        (samples,) = utils.get_sample_results_filenames(files)
        document = json.loads(Path(results).read_text())
        accuracy = points[document["model_name"]].accuracy
        assert document["results"]["synth"]["acc,none"] == pytest.approx(accuracy)
        cells = utils.make_table(document).splitlines()[2].split("|")
        assert float(cells[7]) == pytest.approx(accuracy, abs=5e-5)
        rows = [json.loads(line) for line in Path(samples).read_text().splitlines()]
        assert sum(row["acc"] for row in rows) / len(rows) == pytest.approx(accuracy)
        assert utils.sanitize_model_name(document["model_name"]) == folder.name
