"""`corl-bench fit` and `--system learned:…`, from recordings to a table."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.cli.main import main
from corl_bench.experts.pools import load_pool
from corl_bench.routers.registry import code_digest, parse_systems
from recorded_models import RECORDED_MODELS
from routers.learnable import POOL, make_store, write_rows

pytest.importorskip("sklearn")

ENCODER = """
CALLS = []

def encode(texts):
    CALLS.extend(texts)
    return [[float("Add" in t), float("Find" in t), float("boxed{-1}" in t)] for t in texts]

def broken(texts):
    return [[float("nan")] for t in texts]
"""


@pytest.fixture
def corl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The command line in a folder with recordings; gives what it prints, or its one line."""
    make_store(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        if code == 2:
            assert len(said.err.strip().splitlines()) == 1
            return said.err
        return said.out

    return run


def fitting(router: str, **options: str) -> list[str]:
    given = {
        "router": router,
        "recordings": "store.sqlite",
        "task": "problems.jsonl",
        "pool": "pool.toml",
        "out": router,
    } | options
    return ["fit", *(part for name, value in given.items() for part in (f"--{name}", value))]


def running(*systems: str, out: str = "run", **options: str) -> list[str]:
    given = {
        "task": "problems.jsonl:test",
        "pool": "pool.toml",
        "mode": "replay",
        "recordings": "store.sqlite",
        "out": out,
    } | options
    named = [part for system in systems for part in ("--system", system)]
    return ["run", *named, "-q", *(p for name, v in given.items() for p in (f"--{name}", v))]


def rows_of(folder: str) -> dict[str, Any]:
    return {
        row["system"]: row for row in json.loads(Path(folder, "summary.json").read_text())["rows"]
    }


def episodes_of(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "episodes.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("router", ["knn", "predictor", "cascade"])
def test_a_fitted_router_beats_its_experts_where_there_is_something_to_learn(
    corl: Callable[..., str], router: str
) -> None:
    said = corl(*fitting(router))
    assert "Ties: values equal to 12 decimals" in said
    assert f"learned:{router}@*" in said
    corl(*running("single:*", f"learned:{router}@*", budget="none"))
    rows = rows_of("run")
    # Sums to the small expert, which knows them all, and areas to the large one.
    best, dear = rows[f"learned:{router}@0"], rows["single:large"]
    assert (best["accuracy"], dear["accuracy"]) == (0.9, 0.8)
    assert Decimal(best["mean_cost_usd"]) < Decimal(dear["mean_cost_usd"])
    swept = {name: row for name, row in rows.items() if name.startswith("learned")}
    costs = [Decimal(row["mean_cost_usd"]) for row in swept.values()]
    assert costs == sorted(costs, reverse=True)
    # A cascade's points that would call alike are one.
    assert len(swept) == 9 or (router == "cascade" and len(set(costs)) == len(costs))


@pytest.mark.parametrize("router", ["knn", "predictor", "cascade"])
def test_the_order_of_rows_changes_no_byte(corl: Callable[..., str], router: str) -> None:
    corl(*fitting(router))
    Path("store.sqlite").unlink()
    make_store(Path(), order=7)
    corl(*fitting(router, out="again"))
    ours = {path.name: path.read_bytes() for path in Path(router).iterdir()}
    assert ours == {path.name: path.read_bytes() for path in Path("again").iterdir()}


def test_the_folder_says_what_was_learned_from_what(corl: Callable[..., str]) -> None:
    corl(*fitting("predictor"))
    table = tomllib.loads(Path("predictor/router.toml").read_text())
    origin = table["fitted_on"]
    assert (origin["split"], origin["problems"], origin["examples"]) == ("train", 40, 40)
    assert origin["examples_digest"].startswith("sha256:")
    assert origin["pool_digest"] == load_pool("pool.toml").digest
    assert origin["grader"]
    assert [expert["name"] for expert in table["experts"]] == ["small", "large"]
    assert {one["name"] for one in table["hyperparameters"]} == {"strength", "cost_penalty"}
    assert [point["lambda"] for point in table["points"]][:3] == [0.0, 0.01, 0.03]


def test_a_system_without_a_point_follows_the_budget(corl: Callable[..., str]) -> None:
    corl(*fitting("knn"))
    corl(*running("learned:knn"))
    by_budget = {
        name: [e for e in episodes_of("run") if e["budget"] == name] for name in ("low", "high")
    }
    experts = {
        name: {call["expert"] for e in made for call in e["calls"]}
        for name, made in by_budget.items()
    }
    assert experts["low"] == {"small"}
    assert experts["high"] == {"small", "large"}


def test_points_are_told_apart_and_any_number_is_one(corl: Callable[..., str]) -> None:
    corl(*fitting("knn", out="a@b"))
    pool = load_pool("pool.toml")
    texts = ["learned:a@b@0.25,1", "learned:a@b@1.0", "learned:a@b"]
    systems = parse_systems(texts, pool)
    assert [s.name for s in systems] == ["learned:a@b@0.25", "learned:a@b@1", "learned:a@b"]
    digests = {code_digest(system) for system in systems}
    assert len(digests) == 1 and None not in digests
    assert "expected" in corl(*running(*texts), "--dry-run")
    many = ",".join(f"0.{n:03}" for n in range(80))  # more than a file's name may have
    assert len(parse_systems([f"learned:a@b@{many}"], pool)) == 80
    assert "is a number" in corl(*running("learned:a@b@nan"), code=2)
    assert "is a number" in corl(*running("learned:a@b@-1"), code=2)


def test_a_cascade_asks_on_where_a_score_is_low(corl: Callable[..., str]) -> None:
    corl(*fitting("cascade", **{"lambda": "0.05"}))
    corl(*running("learned:cascade@*", budget="none"))
    made = episodes_of("run")
    assert {len(episode["calls"]) for episode in made} == {1, 2}
    for episode in made:
        assert episode["calls"][0]["expert"] == "small"
        assert "score" in episode["events"][0]
        assert (len(episode["calls"]) == 1) == episode["calls"][0]["text"].startswith("So")
    refused = corl(*running("learned:cascade@0.3"), code=2)
    assert "--lambda 0.3" in refused


@pytest.mark.parametrize("router", ["knn", "cascade"])
def test_the_rows_that_it_was_fitted_on_are_not_scored(
    corl: Callable[..., str], router: str
) -> None:
    corl(*fitting(router))
    refused = corl(*running("single:*", f"learned:{router}", task="problems.jsonl:train"), code=2)
    assert "was fitted on these rows" in refused and "held out" in refused
    rows = Path("problems.jsonl").read_text().splitlines()
    train = [row for row in map(json.loads, rows) if row.get("split") == "train"]
    write_rows(Path("copy.jsonl"), [{**row, "split": "test"} for row in train], None)
    assert "held out" in corl(*running(f"learned:{router}", task="copy.jsonl:test"), code=2)


@pytest.mark.parametrize(("router", "texts"), [("knn", 1), ("cascade", 2)])
def test_an_embedding_model_is_charged_as_stated(
    corl: Callable[..., str], tmp_path: Path, router: str, texts: int
) -> None:
    (tmp_path / "my_encoder.py").write_text(ENCODER)
    options = {"features": "my_encoder:encode", "lambda": "0.05"}
    assert "--features-usd" in corl(*fitting(router, **options), code=2)
    corl(*fitting(router, **options, **{"features-usd": "0.000001"}))
    corl(*running(f"learned:{router}@*", "single:small", budget="none"))
    lines = [json.loads(line) for line in Path("run/ledger.jsonl").read_text().splitlines()]
    fees = [line for line in lines if line.get("basis") == "stated"]
    assert len(fees) == 20 * texts
    assert {Decimal(line["list_cost_usd"]) for line in fees} == {Decimal("0.000001")}
    total = Decimal(rows_of("run")[f"learned:{router}@0.05"]["mean_cost_usd"]) * 20
    calls = [e["calls"] for e in episodes_of("run") if e["system"].startswith("learned")]
    spent = sum(Decimal(call["list_cost_usd"]) for made in calls for call in made)
    assert total == spent + 20 * texts * Decimal("0.000001")


def test_a_model_that_has_changed_or_fails_is_refused(
    corl: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "an_encoder.py").write_text(ENCODER)
    free = {"features-usd": "0"}
    broken = corl(*fitting("knn", features="an_encoder:broken", **free), code=2)
    assert "finite numbers" in broken
    corl(*fitting("knn", features="an_encoder:encode", **free))
    (tmp_path / "an_encoder.py").write_text(ENCODER + "\n# another one\n")
    assert "not the one" in corl(*running("learned:knn@0"), code=2)
    for named in ("nosuch:encode", "an_encoder:nothing", "nowhere"):
        assert named in corl(*fitting("knn", features=named, **free), code=2)


def only(expert: str) -> Callable[[str, int], bool]:
    return lambda name, number: name == expert


@pytest.mark.parametrize(
    ("answers", "options", "said"),
    [
        ({}, {"split": "validation"}, "no row whose `split` is 'validation'"),
        ({}, {"task": "other.jsonl"}, "no reply to any problem of other:train"),
        ({"experts": ("small",)}, {}, "no reply of expert 'large'"),
        ({"problems": 5}, {}, "5 problems"),
        ({"knows": lambda name, number: True}, {}, "one class only"),
        ({"knows": lambda name, number: False}, {}, "one class only"),
        ({}, {"recordings": "nosuch.sqlite"}, "no recordings at nosuch.sqlite"),
        ({}, {"features-usd": "0"}, "TF-IDF costs nothing"),
        ({}, {"out": "."}, "no fitted router"),
        ({}, {"task": "synth", "split": "nosuch"}, "has no split 'nosuch'"),
        ({}, {"task": "synth", "split": "validation"}, "no reply to any problem of synth"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line(
    corl: Callable[..., str], answers: dict[str, Any], options: dict[str, str], said: str
) -> None:
    if answers:
        Path("store.sqlite").unlink()
        make_store(Path(), **answers)
    row = {"problem": "Something else entirely", "gold": "1", "split": "train"}
    write_rows(Path("other.jsonl"), [row], None)
    assert said in corl(*fitting("knn", **options), code=2)


def test_one_expert_that_is_always_right_is_no_reason_to_refuse(corl: Callable[..., str]) -> None:
    Path("store.sqlite").unlink()
    make_store(Path(), knows=only("large"))
    assert "large was always right" in corl(*fitting("predictor"))
    corl(*running("learned:predictor@0", budget="none"))
    assert rows_of("run")["learned:predictor@0"]["accuracy"] == 1.0


def test_problems_that_not_everyone_answered_are_left_out(corl: Callable[..., str]) -> None:
    Path("store.sqlite").unlink()
    make_store(Path(), problems=25)
    assert "fitted knn on 25 problems of" in (said := corl(*fitting("knn")))
    assert "15 left out" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("experts.small", "experts.tiny"), "fitted with expert 'small'"),
        (('"0.4"', '"0.5"'), "another price"),
        (
            (
                '[experts.large]\nprovider = "recorded"',
                '[experts.large]\nprovider = "recorded"\nmodel = "huge"',
            ),
            "is huge in",
        ),
    ],
)
def test_another_pool_than_the_one_that_was_learned_is_refused(
    corl: Callable[..., str], change: tuple[str, str], said: str
) -> None:
    corl(*fitting("knn"))
    assert change[0] in POOL
    Path("pool.toml").write_text(POOL.replace(*change))
    assert said in corl(*running("learned:knn@0"), code=2)


def test_real_recordings(
    shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corl: Callable[..., str]
) -> None:
    """Three real models on MATH level 5: what is learned is used, and is no dearer than stated."""
    folder = shared_dir / "recordings" / "math-l5"
    names = ("Qwen2.5-7B-Instruct", "Qwen2.5-72B-Instruct", "gpt-4o-2024-08-06")
    pool = ['name = "real"', "price_date = 2026-08-21"]
    for name in names:
        pool += [
            f'[experts."{name}"]',
            'provider = "recorded"',
            f'price = "{RECORDED_MODELS[name]}"',
        ]
    Path("real.toml").write_text("\n".join(pool) + "\n")
    problems = str(folder / "problems.jsonl.zst")
    answers = [str(folder / f"{name}.jsonl.zst") for name in names]
    corl("recordings", "import", "real.sqlite", *answers, "--problems", problems)
    real = {"recordings": "real.sqlite", "pool": "real.toml"}
    said = corl(*fitting("knn", task=problems, **real))
    assert "on 360 problems of math-l5:train" in said
    corl(*running("single:*", "learned:knn@0,10", task=f"{problems}:test", **real))
    rows = rows_of("run")
    dear, cheap = rows["learned:knn@0"], rows["learned:knn@10"]
    assert Decimal(cheap["mean_cost_usd"]) < Decimal(dear["mean_cost_usd"])
    assert dear["accuracy"] > rows[f"single:{names[0]}"]["accuracy"]
    assert cheap["accuracy"] > 0.4
