"""What strangers send: refused in one line with exit code 2, and nothing is written."""

from __future__ import annotations

import io
import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.interop.carried import KEY, carry, read_carried
from corl_bench.interop.formats import IMPORTS
from corl_bench.interop.imports import bounded
from corl_bench.results import CallRecord, ChargeRecord, EpisodeRecord, read_episodes
from corl_bench.types import Usage

Call = Callable[..., tuple[int, str, str]]
Lines = Callable[[Path, Any], Path]

MEMORY_BYTES = 700 << 20
"""What reading a hostile file may hold at the most."""


class Code:
    """A pickle that runs code where it is loaded."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.proof),))


@pytest.fixture
def refuse(call: Call, tmp_path: Path) -> Callable[..., str]:
    """Imports a file as results and as recordings; gives the one line of refusal."""

    def run(form: str, path: Path, *more: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        said = ""
        targets = ["--out"] if form == "trace" else ["--out", "--recordings"]
        for target in targets:
            code, out, said = call("import", form, path, target, tmp_path / "new", *more)
            assert (code, out) == (2, ""), said
            assert said.count("\n") == 1
            assert "Traceback" not in said
            assert sorted(tmp_path.rglob("*")) == before
        return said

    return run


Refuse = Callable[..., str]


def trace(**facts: Any) -> dict[str, Any]:
    spent = {"expert": "nano", "model": "openai/gpt-4.1-nano", "text": "4"}
    row = {
        "task": "quiz",
        "problem_id": "1",
        "problem": "2 + 2?",
        "gold": "4",
        "system": "mine",
        "answer": "4",
        "calls": [{**spent, "usage": {"input_tokens": 14, "output_tokens": 3}}],
    }
    return {**row, **facts}


def with_usage(usage: Any) -> dict[str, Any]:
    row = trace()
    row["calls"][0]["usage"] = usage
    return row


@pytest.mark.parametrize("proto", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_with_code_in_it(tmp_path: Path, refuse: Refuse, proto: int) -> None:
    path, proof = tmp_path / "t.pkl", tmp_path / "proof"
    path.write_bytes(pickle.dumps(Code(proof), proto))
    assert "a pickle that is not loaded: it asks for 'posix.mkdir'" in refuse("routerbench", path)
    assert not proof.exists()


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(b"cbuiltins\neval\n(S'1'\ntR.", id="eval"),
        pytest.param(b"cnumpy\nload\n.", id="numpy.load"),
        pytest.param(b"cpandas\nread_pickle\n.", id="read_pickle"),
        pytest.param(b"cpandas.core.frame\nDataFrame\n.", id="a bare class"),
        pytest.param(b"(cpandas.core.frame\nDataFrame\nS'a'\no.", id="a frame of text"),
        pytest.param(b"\x80\x02\x82\x01.", id="an extension code"),
        pytest.param(b"Pid\n.", id="a persistent id"),
        pytest.param(b"K\x01r\xff\xff\xff\x7f.", id="a memo of gigabytes"),
        pytest.param(
            b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00x.", id="bytes that are not there"
        ),
        pytest.param(b"\x80\x04N.", id="None"),
        pytest.param(b"\x80\x04", id="cut"),
        pytest.param(b"no pickle at all", id="text"),
    ],
)
def test_a_pickle_that_is_no_table(tmp_path: Path, refuse: Refuse, program: bytes) -> None:
    path = tmp_path / "t.pkl"
    path.write_bytes(program)
    with NoGreatGrowth():
        assert "pickle" in refuse("routerbench", path)


def test_an_array_that_says_it_has_more_cells(
    tmp_path: Path, written: Path, refuse: Refuse
) -> None:
    pandas_file = (written / "pandas/pandas-2.2.3.pkl").read_bytes()
    path = tmp_path / "t.pkl"
    for cut in (len(pandas_file) // 3, len(pandas_file) - 2):
        path.write_bytes(pandas_file[:cut])
        assert "no pickle of a whole table" in refuse("routerbench", path)


@pytest.mark.parametrize(
    "name",
    [
        *("pandas-1.5.3.pkl", "pandas-2.2.3.pkl"),
        *("pandas-3.1.1-arrow.pkl", "pandas-3.1.1-python.pkl"),
    ],
)
def test_pickles_that_pandas_wrote_are_read(written: Path, name: str) -> None:
    from corl_bench.interop.imports.pickles import read_frame

    columns = read_frame(written / "pandas" / name)
    assert list(columns)[:4] == ["sample_id", "prompt", "eval_name", "gpt-4"]
    assert list(columns["sample_id"]) == ["a.1", "a.2"]
    assert list(columns["gpt-4"]) == [1.0, 0.25]
    assert list(columns["gpt-4|total_cost"]) == [0.001, 0.00023725000000000002]
    assert (list(columns["n"]), list(columns["b"])) == ([1, 2], [True, False])


ARROW_OFFSETS = (0).to_bytes(8, "little") + (3).to_bytes(8, "little") + (6).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        ((0, 3, 7), "a text lies outside of its column"),
        ((0, 4, 3), "a text lies outside of its column"),
        ((-1, 3, 6), "a text lies outside of its column"),
        ((0, 2**62, 6), "a text lies outside of its column"),
    ],
)
def test_arrow_texts_that_lie_about_their_places(
    tmp_path: Path, written: Path, refuse: Refuse, offsets: tuple[int, ...], words: str
) -> None:
    data = (written / "pandas/pandas-3.1.1-arrow.pkl").read_bytes()
    wrong = b"".join(number.to_bytes(8, "little", signed=True) for number in offsets)
    assert data.count(ARROW_OFFSETS) == 1
    path = tmp_path / "t.pkl"
    path.write_bytes(data.replace(ARROW_OFFSETS, wrong))
    assert words in refuse("routerbench", path)


def sparse(path: Path, head: bytes) -> Path:
    """A file that begins as given and goes on for 2 GB of zero bytes, none of them on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(2 << 30)
    return path


class NoGreatGrowth:
    """Fails where more than a bound was allocated at one moment, whatever was before."""

    def __init__(self, limit_bytes: int = MEMORY_BYTES) -> None:
        self._limit_bytes = limit_bytes

    def __enter__(self) -> None:
        tracemalloc.start()

    def __exit__(self, kind: object, *_: object) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert kind is not None or peak < self._limit_bytes


def test_growth_is_seen_after_greater_growth() -> None:
    with NoGreatGrowth():
        assert len(bytearray(64 << 20)) == 64 << 20
    with pytest.raises(AssertionError), NoGreatGrowth(16 << 20):
        assert len(bytearray(32 << 20)) == 32 << 20


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("trace", "t.jsonl"),
        ("routerarena", "t.jsonl"),
        ("lm-eval", "samples_t_2026-01-01T00-00-00.0.jsonl"),
        ("routerbench", "t.csv"),
        ("llmrouterbench", "t.json"),
        ("omnisbench", "t.json"),
        ("zeroeval", "t.json"),
        ("inspect", "t.json"),
        ("inspect", "t.eval"),
    ],
)
def test_a_line_of_2_gb(tmp_path: Path, refuse: Refuse, form: str, name: str) -> None:
    path = sparse(tmp_path / name, b'{"task": "')
    with NoGreatGrowth():
        said = refuse(form, path)
    assert any(words in said for words in ("MiB", "zip archive")), said


def test_every_format_is_tried_with_a_line_of_2_gb() -> None:
    (marks,) = test_a_line_of_2_gb.pytestmark  # type: ignore[attr-defined]
    assert {form for form, _ in marks.args[1]} == set(IMPORTS)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (with_usage({"input_tokens": float("nan"), "output_tokens": 3}), "not NaN"),
        (with_usage({"input_tokens": -14, "output_tokens": 3}), "a whole number from 0, not -14"),
        (with_usage({"input_tokens": 14.5, "output_tokens": 3}), "a whole number from 0"),
        (with_usage({"input_tokens": 10**30, "output_tokens": 3}), "a whole number from 0"),
        (with_usage({"input_tokens": True, "output_tokens": 3}), "a whole number from 0"),
        (with_usage({"input_tokens": "14", "output_tokens": 3}), "a whole number from 0"),
        (
            with_usage(
                {
                    "prompt_tokens": 3,
                    "completion_tokens": 1,
                    "prompt_tokens_details": {"cached_tokens": 9},
                }
            ),
            "more cached_tokens",
        ),
        (with_usage(None), "without token counts"),
        (trace(problem_id="../../x"), "'../../x' is a path, not a name"),
        (trace(problem_id="/etc/passwd"), "is a path, not a name"),
        (trace(problem_id="a\\..\\b"), "is a path, not a name"),
        (trace(system="../mine"), "is a path, not a name"),
        (trace(task=".."), "is a path, not a name"),
        (trace(problem_id="x\x1b[2J"), "printable"),
        (trace(problem_id="x" * 400), "short printable text"),
        (trace(problem_id=None), "problem_id"),
        (trace(verdict="correct"), "'verdict' is no key of a trace"),
        (trace(sample=-1), "sample must be a whole number from 0"),
        (trace(budget="low", budget_usd="-1"), "budget_usd must be an amount"),
        (trace(budget="low", budget_usd=float("inf")), "budget_usd must be an amount"),
        (trace(budget="low", budget_usd="1e99"), "beyond reason"),
        (trace(calls="none"), "calls must be a list"),
        ([1, 2], "not a JSON object"),
    ],
)
def test_a_trace_with_what_cannot_be_meant(
    tmp_path: Path, lines: Lines, refuse: Refuse, row: Any, words: str
) -> None:
    path = lines(tmp_path / "trace.jsonl", [trace(problem_id="0"), row])
    said = refuse("trace", path)
    assert f"{path}:2" in said
    assert words in said


def test_one_episode_twice(tmp_path: Path, lines: Lines, refuse: Refuse) -> None:
    path = lines(tmp_path / "trace.jsonl", [trace(), trace(answer="5")])
    assert f"{path}:2: '1' of 'mine' is there twice, first at {path}:1" in refuse("trace", path)


def test_one_id_for_two_problems(tmp_path: Path, lines: Lines, refuse: Refuse) -> None:
    other = trace(problem="3 + 3?", system="other")
    path = lines(tmp_path / "trace.jsonl", [trace(), other])
    assert "stands for another problem" in refuse("trace", path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (json.dumps(trace()).encode()[:-9], "no whole JSON"),
        (b'{"task": "a", "task": "b"}\n', "a key twice"),
        (b"\xff\xfe\n", "not UTF-8"),
        (b"[" * 200_000 + b"\n", "nesting too deep"),
        (b'{"task": ' + b"9" * 10_000 + b"}\n", "a number too long"),
        (b'{"task": 1e999999}\n', "beyond reason"),
        (b'{"task": 1e99999999999999999999}\n', "beyond reason"),
    ],
)
def test_a_trace_that_is_no_json(tmp_path: Path, refuse: Refuse, data: bytes, words: str) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(data)
    assert words in refuse("trace", path)


@pytest.mark.parametrize("form", sorted(IMPORTS))
def test_an_empty_file_a_missing_one_and_a_folder_of_nothing(
    tmp_path: Path, refuse: Refuse, form: str
) -> None:
    names = {"routerbench": "t.csv", "inspect": "t.eval", "trace": "t.jsonl"}
    path = tmp_path / names.get(form, "t.json")
    path.touch()
    assert "empty" in refuse(form, path)
    refuse(form, tmp_path / "missing")
    folder = tmp_path / "folder"
    folder.mkdir()
    refuse(form, folder)


@pytest.mark.parametrize("form", ["llmrouterbench", "omnisbench", "routerarena", "zeroeval"])
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        '{"items": [{}], "provenance": {}}',
        '[{"id": 1}]',
        '{"records": 3}',
        "[3]",
    ],
)
def test_documents_of_something_else(tmp_path: Path, refuse: Refuse, form: str, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    refuse(form, path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "no column 'sample_id'"),
        ("sample_id,eval_name,m\nx,e,1\n", "no column ends in '|total_cost'"),
        ("sample_id,eval_name,m,m\nx,e,1,1\n", "two columns have one name"),
        ("sample_id,eval_name,m,m|total_cost\nx,e,1\n", "3 cells where there are 4 columns"),
        ('sample_id,eval_name,m,m|total_cost\nx,e,1,"0.1', "no whole CSV row"),
        ("sample_id,eval_name,m,m|total_cost\nx,e,nan,0.1\n", "a score from 0 to 1"),
        ("sample_id,eval_name,m,m|total_cost\nx,e,2,0.1\n", "a score from 0 to 1"),
        ("sample_id,eval_name,m,m|total_cost\nx,e,1,-0.1\n", "an amount of dollars"),
        ("sample_id,eval_name,m,m|total_cost\n../x,e,1,0.1\n", "is a path, not a name"),
        ("sample_id,eval_name,m,m|total_cost\nx,e,1,0.1\nx,e,1,0.1\n", "is there twice"),
        ("sample_id,eval_name,m,m|total_cost\n", "nothing to import"),
    ],
)
def test_tables_with_wrong_columns_or_cells(
    tmp_path: Path, refuse: Refuse, text: str, words: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert words in refuse("routerbench", path)


def test_a_parquet_file_cut_in_the_middle(tmp_path: Path, refuse: Refuse) -> None:
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    path = tmp_path / "t.parquet"
    parquet.write_table(arrow.table({"sample_id": ["x"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:300])
    assert "no whole Parquet file" in refuse("routerbench", path)


def eval_log(path: Path, members: Iterator[tuple[str, bytes]] | list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


HEADER = json.dumps(
    {"version": 2, "status": "success", "eval": {"task": "quiz", "model": "m/m"}}
).encode()


def sample(**facts: Any) -> bytes:
    row = {
        "id": "a",
        "epoch": 1,
        "input": "2 + 2?",
        "target": "4",
        "output": {"model": "m", "choices": [], "completion": "4"},
        "scores": {"match": {"value": "C"}},
        "model_usage": {"m/m": {"input_tokens": 3, "output_tokens": 1}},
    }
    return json.dumps({**row, **facts}).encode()


def test_a_zip_bomb(tmp_path: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "DOCUMENT_LIMIT_BYTES", 32 << 20)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", HEADER)
        with archive.open("samples/a_epoch_1.json", "w", force_zip64=True) as member:
            for _ in range(256):
                member.write(b" " * (1 << 20))
    path = tmp_path / "bomb.eval"
    path.write_bytes(bomb.getvalue())
    assert path.stat().st_size < 1 << 20
    with NoGreatGrowth(100 << 20):
        assert "unpacks to more than 32 MiB" in refuse("inspect", path)


def test_a_member_whose_name_is_no_text(tmp_path: Path, refuse: Refuse) -> None:
    path = eval_log(tmp_path / "odd.eval", [("é.json", HEADER)])  # its name is marked as UTF-8
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    assert "no whole zip archive" in refuse("inspect", path)


def test_many_members_together_are_bounded_as_well(
    tmp_path: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "ARCHIVE_LIMIT_BYTES", 3 << 20)
    padded = sample(store={"x": " " * (1 << 20)})
    members = [(f"samples/{n}_epoch_1.json", padded.replace(b'"a"', b'"%d"' % n)) for n in range(4)]
    path = eval_log(tmp_path / "bomb.eval", [("header.json", HEADER), *members])
    assert "unpacks to more than" in refuse("inspect", path)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("header.json", HEADER)], "no samples"),
        ([("samples/a_epoch_1.json", sample())], "has no header.json"),
        ([("header.json", b"{}"), ("samples/a_epoch_1.json", sample())], "no log of inspect"),
        (
            [("header.json", HEADER), ("samples/a_epoch_1.json", sample(id="../../x"))],
            "is a path, not a name",
        ),
        (
            [
                ("header.json", HEADER),
                ("samples/a_epoch_1.json", sample()),
                ("samples/b_epoch_1.json", sample()),
            ],
            "is there twice",
        ),
        (
            [
                ("header.json", HEADER),
                (
                    "samples/a_epoch_1.json",
                    sample(model_usage={"m/m": {"input_tokens": float("nan")}}),
                ),
            ],
            "input_tokens must be a whole number from 0, not NaN",
        ),
        (
            [
                ("header.json", HEADER),
                ("samples/a_epoch_1.json", sample(scores={"match": {"value": "X"}})),
            ],
            "a score from 0 to 1",
        ),
        (
            [
                ("header.json", HEADER),
                ("samples/a_epoch_1.json", sample(metadata={"corl": {"v": 1}})),
            ],
            "corl is no episode",
        ),
        ([("header.json", HEADER), ("samples/a_epoch_1.json", sample()[:-8])], "no whole JSON"),
    ],
)
def test_inspect_logs_that_are_not_what_they_should_be(
    tmp_path: Path, refuse: Refuse, members: list[tuple[str, bytes]], words: str
) -> None:
    assert words in refuse("inspect", eval_log(tmp_path / "t.eval", members))


def carried() -> dict[str, Any]:
    """A row of lm-eval's samples as our export writes it."""
    calls = [
        CallRecord(
            expert=name,
            model=f"openai/{name}",
            status="ok",
            finish="stop",
            text="It is 4.",
            usage=Usage(input_tokens=14, output_tokens=3),
            list_cost_usd=Decimal("0.0000026"),
            latency_s=0.5,
            id=str(number),
        )
        for number, name in enumerate(("nano", "mini"))
    ]
    fee = ChargeRecord("deciding", Decimal("0.001"), basis="stated", id="fee-1")
    record = EpisodeRecord(
        task="quiz",
        problem_id="1",
        system="mine",
        budget="low",
        budget_usd=Decimal("0.01"),
        sample=0,
        verdict="correct",
        answer="4",
        response="It is 4.",
        calls=tuple(calls),
        subject="Algebra",
        level=5,
        events=("looked",),
        charges=(fee,),
    )
    budgets = {"low": "0.01", "high": "0.1"}
    return {
        "doc_id": 0,
        "doc": {"problem": "2 + 2?"},
        "target": "4",
        "resps": [["It is 4."]],
        "filter": "none",
        "metrics": ["acc"],
        "acc": 1.0,
        KEY: [carry(record, is_oracle=False, simulated=False, budgets=budgets)],
    }


def test_the_row_that_is_spoilt_below_is_read(tmp_path: Path, lines: Lines, call: Call) -> None:
    path = lines(tmp_path / "samples_quiz_2026-01-01T00-00-00.0.jsonl", [carried()])
    code, said, _ = call("import", "lm-eval", path, "--out", tmp_path / "run")
    assert code == 0, said
    (episode,) = read_episodes(tmp_path / "run")
    assert (episode.list_cost_usd, episode.budget) == (Decimal("0.0010052"), "low")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("v",), True),
        (("task",), "../x"),
        (("problem_id",), 7),
        (("system",), "mine\x1b[2J"),
        (("budget",), None),
        (("budget_usd",), "-1"),
        (("subject",), 5),
        (("subject",), "\x1b[2J"),
        (("level",), "five"),
        (("level",), -1),
        (("sample",), 10**30),
        (("verdict",), "splendid"),
        (("answer",), 5),
        (("detail",), ["x"]),
        (("detail",), "\x1b[2J"),
        (("detail",), "x" * 2_000),
        (("list_cost_usd",), "99"),
        (("unsettled_usd",), "0.1"),
        (("unsettled_usd",), 0),
        (("events",), "looked"),
        (("events",), ["\x1b[2J"]),
        (("events",), ["x"] * 101),
        (("charges",), {}),
        (("charges", 0, "what"), 5),
        (("charges", 0, "what"), "\x1b[2J"),
        (("charges", 0, "basis"), "free"),
        (("charges", 0, "list_cost_usd"), "NaN"),
        (("charges", 0, "id"), "\n"),
        (("calls",), "none"),
        (("calls", 0), "nano"),
        (("calls", 0, "id"), 1),
        (("calls", 0, "expert"), "../nano"),
        (("calls", 0, "model"), 7),
        (("calls", 0, "model"), "\x1b[2J"),
        (("calls", 0, "role"), "zz"),
        (("calls", 0, "role"), ["expert"]),
        (("calls", 0, "status"), "\x1b[2J"),
        (("calls", 0, "status"), ""),
        (("calls", 0, "finish"), "zz"),
        (("calls", 0, "attempts"), 0),
        (("calls", 0, "attempts"), 10**9),
        (("calls", 0, "attempts"), True),
        (("calls", 0, "text"), 5),
        (("calls", 0, "usage"), [3]),
        (("calls", 0, "usage", "output_tokens"), float("nan")),
        (("calls", 0, "usage", "gold_tokens"), 3),
        (("calls", 0, "source_correct"), "yes"),
        (("calls", 0, "detail"), ["x"]),
        (("calls", 0, "basis"), 5),
        (("calls", 0, "list_cost_usd"), 0.1),
        (("timings",), None),
        (("timings", "latency_s"), -1),
        (("timings", "calls_s"), [0.5]),
        (("timings", "calls_s"), [0.5, "fast"]),
        (("is_oracle",), "no"),
        (("simulated",), 0),
        (("budgets",), ["low"]),
        (("budgets", "low"), "0.02"),
        (("budgets", "../low"), "0.02"),
        (("budgets", "high"), "-1"),
    ],
)
def test_an_episode_of_ours_that_a_stranger_changed(
    tmp_path: Path, lines: Lines, refuse: Refuse, keys: tuple[str | int, ...], value: Any
) -> None:
    row = carried()
    *above, last = keys
    place = row[KEY][0]
    for key in above:
        place = place[key]
    place[last] = value
    path = lines(tmp_path / "samples_quiz_2026-01-01T00-00-00.0.jsonl", [row])
    said = refuse("lm-eval", path)
    assert f"{path}:1" in said
    assert said.isascii()


def test_remarks_of_ours_that_no_terminal_should_see_come_back_as_lines() -> None:
    """A router may note anything; an export of it must not be refused for that."""
    record = EpisodeRecord(
        task="quiz",
        problem_id="1",
        system="mine",
        budget=None,
        budget_usd=None,
        sample=0,
        verdict="error",
        answer=None,
        response=None,
        detail="\x1b[2J",
        events=("a\x1b[2Jb", "x" * 2_000),
    )
    row = carry(record, is_oracle=False, simulated=False, budgets={})
    back = read_carried(row, place="here", response=None).carried
    assert back is not None
    assert (back.detail, back.events) == (
        "\N{REPLACEMENT CHARACTER}[2J",
        ("a\N{REPLACEMENT CHARACTER}[2Jb", "x" * 1_000),
    )


def test_an_inspect_log_cut_in_the_middle(tmp_path: Path, written: Path, refuse: Refuse) -> None:
    for name in ("quiz.eval", "quiz.json"):
        data = (written / "inspect" / name).read_bytes()
        path = tmp_path / name
        path.write_bytes(data[: len(data) // 2])
        assert "whole" in refuse("inspect", path)


def test_nothing_is_written_over(tmp_path: Path, lines: Lines, call: Call) -> None:
    path = lines(tmp_path / "trace.jsonl", [trace()])
    run = tmp_path / "run"
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    code, _, said = call("import", "trace", path, "--out", run)
    assert code == 2
    assert "is there already" in said
    assert [p.name for p in run.iterdir()] == ["notes.txt"]


def test_replies_that_contradict_each_other(tmp_path: Path, refuse: Refuse, call: Call) -> None:
    def item(policy: str, text: str) -> dict[str, Any]:
        return {
            "policy": policy,
            "dataset": "d",
            "item_id": "1",
            "grader": "exact_match",
            "reference": "4",
            "meta": {},
            "response_text": text,
            "chosen_model": "m",
            "passed": True,
            "cost_usd": 0.1,
            "input_tokens": 1,
            "output_tokens": 1,
            "latency_ms": 3.0,
        }

    path = tmp_path / "results.json"
    task = tmp_path / "d.jsonl"
    task.write_text(json.dumps({"id": "1", "problem": "2 + 2?", "answer": "4"}) + "\n")
    document = {"provenance": {}, "items": [item("a", "4"), item("b", "5")]}
    path.write_text(json.dumps(document))
    store = tmp_path / "s.sqlite"
    code, _, said = call(
        *("import", "omnisbench", path, "--recordings", store, "--task", task),
    )
    assert code == 2
    assert "another reply of 'm' to this problem" in said
    assert not store.exists()
