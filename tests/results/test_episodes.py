from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError, StorageError
from corl_bench.results import (
    CallRecord,
    EpisodeRecord,
    decode_episode,
    encode_episode,
    read_episodes,
)
from corl_bench.results.outcomes import read_result_set
from report.sample_run import sample_run

CALL = CallRecord("nano", "example/nano", "ok", list_cost_usd=Decimal("0.0000000000000001"))
EPISODE = EpisodeRecord(
    task="t",
    problem_id="p1",
    system="router",
    budget="low",
    budget_usd=Decimal("0.0005"),
    sample=0,
    verdict="correct",
    answer="4",
    response="4",
    calls=(CALL,),
)


def write(folder: Path, *rows: object) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "episodes.jsonl").write_text(text)
    return folder


def test_an_episode_comes_back_as_it_was(tmp_path: Path) -> None:
    assert decode_episode(encode_episode(EPISODE)) == EPISODE
    assert read_episodes(write(tmp_path, encode_episode(EPISODE))) == [EPISODE]


def call(**changed: object) -> Callable[[dict[str, Any]], object]:
    return lambda row: row["calls"][0].update(changed)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda row: row.pop("sample"), "KeyError"),
        (lambda row: row.update(sample="0"), "sample '0' is no whole number"),
        (lambda row: row.update(sample=-1), "sample -1 is no whole number"),
        (lambda row: row.update(sample=True), "sample True is no whole number"),
        (lambda row: row.update(problem_id=7), "problem_id 7 is no text"),
        (lambda row: row.update(budget=["low"]), "budget .* is no text"),
        (lambda row: row.update(verdict="maybe"), "verdict 'maybe' is none of correct"),
        (lambda row: row.update(verdict=["correct"]), "is none of correct"),
        (lambda row: row.update(budget_usd="NaN"), "no plain amount of dollars"),
        (lambda row: row.update(calls=None), "calls is None and should be a list"),
        (lambda row: row.update(timings=[]), r"timings is \[\] and should be an object"),
        (lambda row: row.update(v="1"), "TypeError"),
        (call(list_cost_usd="NaN"), "no plain amount of dollars"),
        (call(list_cost_usd="-5"), "no plain amount of dollars"),
        (call(list_cost_usd="1e400"), "no plain amount of dollars"),
        (call(list_cost_usd=0.1), "TypeError"),
        (call(unsettled_usd="x"), "no plain amount of dollars"),
        (call(usage={"tokens": 3}), "TypeError"),
    ],
)
def test_a_row_that_is_no_episode_is_named_in_one_line(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    row = encode_episode(EPISODE)
    spoil(row)
    folder = write(tmp_path, encode_episode(EPISODE), row)
    with pytest.raises(StorageError, match=message) as caught:
        read_episodes(folder)
    assert f"{folder / 'episodes.jsonl'}:2 is no episode" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_is_no_episode(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"episodes\.jsonl:1: not a JSON object"):
        read_episodes(write(tmp_path, [1, 2]))


def test_a_newer_version_is_named_with_its_line(tmp_path: Path) -> None:
    row = encode_episode(EPISODE) | {"v": 3}
    with pytest.raises(StorageError, match=r"episodes\.jsonl:1: .* upgrade corl-bench"):
        read_episodes(write(tmp_path, row))


def test_another_kind_of_file_is_told_from_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    assert read_episodes(tmp_path) == []
    path.write_bytes(b"")
    assert read_episodes(tmp_path) == []
    path.write_bytes(b'{"v":1,"ta')
    assert read_episodes(tmp_path) == []
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\xff")
    with pytest.raises(StorageError, match="holds no episodes"):
        read_episodes(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda manifest: manifest.pop("identity"),
        lambda manifest: manifest.update(tasks=[]),
        lambda manifest: manifest.update(systems=[3]),
        lambda manifest: manifest.update(budgets={"low": "-1"}),
        lambda manifest: manifest["identity"]["pool"].update(prices={"nano": [1]}),
    ],
)
def test_a_broken_manifest_is_one_line(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object]
) -> None:
    sample_run(problems=2).write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["identity"] = {"pool": {"digest": "0aa1f4", "prices": {}}}
    spoil(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match=r"manifest\.json is broken") as caught:
        read_result_set(tmp_path)
    assert "\n" not in str(caught.value)
