"""Recordings as text: what is read and refused, all or nothing, and the way out and back."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corl_bench.errors import ConfigError
from corl_bench.experts import recording_files
from corl_bench.experts.base import Reply
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.recording_files import export_calls, import_files, open_export
from corl_bench.experts.recording_rows import RowRules, read_row, write_row
from corl_bench.experts.store import RecordingStore
from corl_bench.types import Usage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROW: dict[str, Any] = {
    "problem": "What is 2 + 2?",
    "expert": "small",
    "response": "4",
    "usage": {"input_tokens": 14, "output_tokens": 1},
}
DROP = object()


def row(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (ROW | changes).items() if value is not DROP}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordingStore]:
    with RecordingStore.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def only(store: RecordingStore) -> RecordedCall:
    (call,) = store.calls()
    return call


def refusal(store: RecordingStore, *paths: Path, **options: Any) -> str:
    """The message of an import that fails and leaves the store as it was."""
    before = list(store.calls())
    with pytest.raises(ConfigError) as caught:
        import_files(store, paths, **options)
    assert list(store.calls()) == before
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 500
    return message


# --- what a row may say ------------------------------------------------------------------------


def test_the_smallest_row(store: RecordingStore, file: Path) -> None:
    report = import_files(store, [write(file, row())])
    usage = Usage(input_tokens=14, output_tokens=1)
    assert only(store) == RecordedCall(
        request_key="",
        sample=0,
        occurrence=0,
        expert="small",
        model="small",
        problem_key=problem_key("What is 2 + 2?"),
        attempts=(Attempt("ok", usage),),
        reply=Reply("4", usage, "stop", "small"),
        run_id="import",
        origin="imported",
    )
    assert (report.files, report.added, report.known, report.ignored) == (1, 1, 0, ())


def test_a_full_row(store: RecordingStore, file: Path) -> None:
    usage = {
        "input_tokens": 1,
        "cached_input_tokens": 2,
        "cache_write_tokens": 3,
        "cache_write_1h_tokens": 4,
        "output_tokens": 6,
        "reasoning_tokens": 5,
        "estimated": True,
    }
    full = row(
        model="vendor/small",
        usage=usage,
        sample=7,
        finish="length",
        correct=False,
        latency_s=1.5,
        reply_model="vendor/small-2025",
        label="mine",
    )
    import_files(store, [write(file, full)], label="not mine")
    call = only(store)
    assert call.reply == Reply(
        "4", Usage(1, 2, 3, 4, 6, 5, True), "length", "vendor/small-2025", 1.5, False
    )
    assert (call.model, call.sample, call.run_id) == ("vendor/small", 7, "mine")
    assert call.attempts == (Attempt("ok", call.reply.usage, latency_s=1.5),)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}},
            Usage(10, output_tokens=5),
        ),
        (
            {
                "usage": {
                    "prompt_tokens": 10,
                    "completion_tokens": 5,
                    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 3},
                }
            },
            Usage(6, 4, output_tokens=5, reasoning_tokens=3),
        ),
        (
            {
                "usage": {
                    "prompt_tokens": 10,
                    "completion_tokens": 5,
                    "prompt_tokens_details": None,
                    "completion_tokens_details": {"reasoning_tokens": None},
                }
            },
            Usage(10, output_tokens=5),
        ),
        (
            {"usage": DROP, "prompt_tokens": 10, "completion_tokens": 5},
            Usage(10, output_tokens=5),
        ),
        (
            {"usage": DROP, "input_tokens": 10, "output_tokens": 5, "token_source": "billed"},
            Usage(10, output_tokens=5),
        ),
        (
            {"usage": DROP, "input_tokens": 10, "output_tokens": 5, "estimated": True},
            Usage(10, output_tokens=5, estimated=True),
        ),
        ({"token_source": "estimated-o200k"}, Usage(14, output_tokens=1, estimated=True)),
        ({"usage": {"input_tokens": 0, "output_tokens": 0}}, Usage()),
    ],
)
def test_spellings_of_usage(
    store: RecordingStore, file: Path, changes: dict[str, Any], expected: Usage
) -> None:
    report = import_files(store, [write(file, row(**changes))])
    reply = only(store).reply
    assert reply is not None
    assert reply.usage == expected
    assert report.experts[0].input_tokens == expected.total_input_tokens
    assert report.ignored == ()


@pytest.mark.parametrize(
    ("changes", "expert", "model", "named"),
    [
        ({}, "small", "small", None),
        ({"model": "vendor/small"}, "small", "vendor/small", None),
        ({"expert": DROP, "model": "vendor/small"}, "vendor/small", "vendor/small", None),
        ({"expert": DROP, "model": "vendor/small"}, "mine", "vendor/small", "mine"),
        ({"expert": DROP}, "mine", "mine", "mine"),
        ({}, "small", "small", "mine"),
    ],
)
def test_who_the_expert_is(
    store: RecordingStore,
    file: Path,
    changes: dict[str, Any],
    expert: str,
    model: str,
    named: str | None,
) -> None:
    import_files(store, [write(file, row(**changes))], expert=named)
    call = only(store)
    assert (call.expert, call.model) == (expert, model)


def test_aliases_and_given_names_of_columns(store: RecordingStore, file: Path) -> None:
    theirs = {
        "question": "What is 2 + 2?",
        "llm": "small",
        "completion": "4",
        "n_in": 14,
        "n_out": 1,
        "finish_reason": "content_filter",
        "correct_by_source_grader": True,
        "level": 5,
    }
    names = {
        "problem": "question",
        "expert": "llm",
        "response": "completion",
        "input_tokens": "n_in",
        "output_tokens": "n_out",
    }
    report = import_files(store, [write(file, theirs)], columns=names)
    call = only(store)
    assert call.reply == Reply(
        "4", Usage(14, output_tokens=1), "refusal", "small", source_correct=True
    )
    assert report.ignored == ("level",)
    assert "no column 'answr', which --column names for response" in refusal(
        store, file, columns=names | {"response": "answr"}
    )
    assert "--column 'corect': no column of ours" in refusal(
        store, file, columns={"corect": "correct_by_source_grader"}
    )


def test_problems_by_id(store: RecordingStore, file: Path, tmp_path: Path) -> None:
    problems = write(
        tmp_path / "statements.jsonl",
        {"id": 17, "problem": "What is 2 + 2?", "gold": "4"},
        {"problem_id": "b", "problem": "What is  3 + 3?"},
    )
    write(file, row(problem=DROP, problem_id="17"), row(problem=DROP, id="b"))
    assert "no statement of problem '17': give its file with --problems" in refusal(store, file)
    import_files(store, [file], problems=[problems])
    assert store.find_imported(problem_key("What is 2 + 2?"), "small", "", 0) is not None
    assert store.find_imported(problem_key("What is 3 + 3?"), "small", "", 0) is not None
    assert store.problem_text(problem_key("What is 3 + 3?")) == "What is  3 + 3?"


def test_one_id_for_two_statements(store: RecordingStore, file: Path, tmp_path: Path) -> None:
    problems = [
        write(tmp_path / name, {"id": "1", "problem": text})
        for name, text in (("a.jsonl", "What is 2 + 2?"), ("b.jsonl", "What is 3 + 3?"))
    ]
    write(file, row())
    message = refusal(store, file, problems=problems)
    assert message.startswith(f"{problems[1]}:1: problem_id '1' stands for another problem")


def test_folders_are_searched_and_their_problems_found(
    store: RecordingStore, tmp_path: Path
) -> None:
    for name, statement in (("x", "What is 2 + 2?"), ("y", "What is 3 + 3?")):
        folder = tmp_path / "all" / name
        folder.mkdir(parents=True)
        write(folder / "problems.jsonl", {"problem_id": f"{name}/0", "problem": statement})
        packed = json.dumps(row(problem=DROP, problem_id=f"{name}/0")) + "\n"
        (folder / "small.jsonl.zst").write_bytes(zstd.compress(packed.encode()))
        (folder / "notes.txt").write_text("not a recording")
    report = import_files(store, [tmp_path / "all"])
    assert (report.files, report.added) == (2, 2)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no .jsonl or .jsonl.zst file in this folder" in refusal(store, empty)
    only_problems = tmp_path / "all" / "x" / "problems.jsonl"
    assert "none holds answers" in refusal(store, only_problems)


def test_text_that_could_do_harm_is_text(store: RecordingStore, file: Path) -> None:
    nasty = '\x1b[2J\'; DROP TABLE calls; --\u2028\0<script>{"a"}\r\n😀'
    import_files(store, [write(file, row(problem=f"p {nasty}", response=nasty))])
    reply = only(store).reply
    assert reply is not None
    assert reply.text == nasty


def test_half_a_character_becomes_the_replacement_character(
    store: RecordingStore, file: Path
) -> None:
    import_files(store, [write(file, row(response="a \ud83d b \U0001f600"))])
    reply = only(store).reply
    assert reply is not None
    assert reply.text == "a \ufffd b \U0001f600"


def test_byte_order_mark_and_blank_lines(store: RecordingStore, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(row()).encode() + b"\r\n\n  \n")
    assert import_files(store, [file]).added == 1


# --- what a row may not say --------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"problem": DROP}, "no problem, problem_key or problem_id"),
    ({"problem": 4}, "problem must be text, not 4"),
    ({"problem": " \n"}, "problem is empty"),
    ({"problem": DROP, "problem_key": "abc"}, "problem_key must be a sha256"),
    ({"problem": DROP, "problem_id": True}, "problem_id must be text or a whole number"),
    ({"expert": DROP}, "no expert or model"),
    ({"expert": ["small"]}, "expert must be a short printable text, not ['small']"),
    ({"expert": ""}, "expert is empty"),
    ({"expert": "\x1b[2Jred"}, "expert must be a short printable text, not '\\x1b[2Jred'"),
    ({"expert": "x" * 301}, "expert must be a short printable text"),
    ({"model": 4}, "model must be a short printable text"),
    ({"label": "a\nb"}, "label must be a short printable text"),
    ({"response": DROP}, "no response"),
    ({"response": None}, "no response"),
    ({"response": 4}, "response must be text, not 4"),
    ({"usage": DROP}, "no usage"),
    ({"usage": None}, "no usage"),
    ({"usage": [1, 2]}, "usage must be an object"),
    ({"usage": {}}, "usage.input_tokens must be a whole number from 0, not None"),
    ({"usage": {"input_tokens": 14}}, "usage.output_tokens must be a whole number from 0"),
    ({"usage": ROW["usage"] | {"inptu_tokens": 1}}, "usage has 'inptu_tokens'"),
    ({"usage": ROW["usage"] | {"output_tokens": -1}}, "not -1"),
    ({"usage": ROW["usage"] | {"output_tokens": 1.0}}, "not 1.0"),
    ({"usage": ROW["usage"] | {"output_tokens": True}}, "not True"),
    ({"usage": ROW["usage"] | {"output_tokens": "1"}}, "not '1'"),
    ({"usage": ROW["usage"] | {"output_tokens": 10**13}}, "not 10000000000000"),
    ({"usage": ROW["usage"] | {"reasoning_tokens": 2}}, "more reasoning_tokens than output"),
    ({"usage": ROW["usage"] | {"estimated": "yes"}}, "usage.estimated must be true or false"),
    ({"usage": {"prompt_tokens": 3}}, "usage.completion_tokens must be a whole number"),
    ({"usage": DROP, "prompt_tokens": 3}, "usage.completion_tokens must be a whole number"),
    (
        {
            "usage": {
                "prompt_tokens": 3,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 4},
            }
        },
        "more cached_tokens than prompt_tokens",
    ),
    (
        {"usage": {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": 4}},
        "usage.prompt_tokens_details must be an object",
    ),
    ({"sample": -1}, "sample must be a whole number from 0, not -1"),
    ({"sample": "0"}, "sample must be a whole number from 0"),
    ({"finish": "error"}, "finish must be one of stop, length, refusal, content_filter"),
    ({"finish": ["stop"]}, "finish must be one of"),
    ({"correct": 1}, "correct must be true or false, not 1"),
    ({"latency_s": -0.5}, "latency_s must be a number from 0, not -0.5"),
    ({"latency_s": "1"}, "latency_s must be a number from 0, not '1'"),
    ({"origin": "recorded"}, "no model"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_wrong_row_is_refused_with_its_place(
    store: RecordingStore, file: Path, changes: dict[str, Any], message: str
) -> None:
    write(file, row(), row(problem="What is 3 + 3?"), row(**changes))
    said = refusal(store, file)
    assert said.startswith(f"{file}:3: ")
    assert message in said
    assert store.problem_text(problem_key("What is 2 + 2?")) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"problem": ', "no JSON: Expecting value, column"),
        (b"4", "not a JSON object"),
        (b'[{"problem": "x"}]', "not a JSON object"),
        (b'{"usage": {"output_tokens": NaN}}', "NaN is no number"),
        (b'{"latency_s": -Infinity}', "-Infinity is no number"),
        (b'{"a": ' + b"[" * 100_000, "nesting too deep"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "a number too long"),
        (b'{"problem": "\xff"}', "not UTF-8 text"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "not UTF-8 text"),
    ],
)
def test_a_line_that_is_no_json_object(
    store: RecordingStore, file: Path, line: bytes, message: str
) -> None:
    file.write_bytes(json.dumps(row()).encode() + b"\n" + line + b"\n")
    said = refusal(store, file)
    assert said.startswith(f"{file}:2: ")
    assert message in said


def test_a_line_without_end_is_refused_before_it_is_read(
    store: RecordingStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_files, "LINE_LIMIT_BYTES", 1 << 20)
    line = json.dumps(row(response="x" * (1 << 21))).encode()
    for content in (line, zstd.compress(line)):
        file.write_bytes(content)
        assert refusal(store, file) == f"{file}:1: a line of more than 1 MiB"


def test_a_cut_or_damaged_zstd_file(store: RecordingStore, tmp_path: Path) -> None:
    rows = b"".join(json.dumps(row(sample=n)).encode() + b"\n" for n in range(20_000))
    packed = zstd.compress(rows)
    path = tmp_path / "answers.jsonl.zst"
    for content in (packed[: len(packed) // 2], packed[:500] + b"\0" * 500, packed[:6]):
        path.write_bytes(content)
        assert "damaged or cut zstd file" in refusal(store, path)


def test_a_file_that_cannot_be_read(store: RecordingStore, tmp_path: Path, file: Path) -> None:
    assert f"cannot read {tmp_path / 'none.jsonl'}" in refusal(store, tmp_path / "none.jsonl")
    file.write_text("\n\n")
    assert "holds no row" in refusal(store, file)


def test_hostile_values_are_quoted_briefly(store: RecordingStore, file: Path) -> None:
    write(file, row(finish="\x1b]0;x\x07" * 10_000))
    assert len(refusal(store, file)) < len(str(file)) + 200


# --- all or nothing, and twice -----------------------------------------------------------------


def test_importing_again_changes_nothing(store: RecordingStore, file: Path) -> None:
    write(file, row(), row(sample=1), row(sample=1))
    first = import_files(store, [file])
    assert (first.added, first.known) == (2, 1)
    before = list(store.calls())
    again = import_files(store, [file, file], label="another label")
    assert (again.added, again.known) == (0, 6)
    assert list(store.calls()) == before
    assert again.experts[0].rows == 6
    assert again.experts[0].samples == {0, 1}


@pytest.mark.parametrize(
    "changes",
    [{"response": "5"}, {"correct": True}, {"usage": {"input_tokens": 14, "output_tokens": 2}}],
)
def test_a_second_answer_to_the_same_question_is_refused(
    store: RecordingStore, file: Path, changes: dict[str, Any]
) -> None:
    write(file, row(sample=4), row(), row(**changes))
    message = refusal(store, file)
    assert message.startswith(f"{file}:3: another answer of small to this problem (sample 0)")
    write(file, row())
    import_files(store, [file])
    write(file, row(sample=1), row(**changes))
    assert refusal(store, file).startswith(f"{file}:2: another answer of small")


# --- out and back ------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), max_size=30)
printable = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
labels = st.text(printable, max_size=30)
names = st.text(printable, min_size=1, max_size=30)
statements = st.builds("{}{}".format, words, names)
indices = st.integers(0, 5)
counts = st.integers(0, 10**12)
plain_usages = st.builds(Usage, counts, counts, counts, counts, counts, estimated=st.booleans())
usages = st.builds(
    lambda usage, share: replace(usage, reasoning_tokens=int(usage.output_tokens * share)),
    plain_usages,
    st.floats(0, 0.5),
)
seconds = st.floats(0, 1e6)
any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
replies = st.builds(
    Reply,
    words,
    usages,
    st.sampled_from(["stop", "length", "refusal"]),
    names,
    seconds,
    st.none() | st.booleans(),
)
attempts = st.builds(
    Attempt, st.sampled_from(["ok", "cut"]), st.none() | usages, st.booleans(), seconds, words
)
requests = st.fixed_dictionaries(
    {
        "provider": words,
        "model": words,
        "messages": st.lists(st.fixed_dictionaries({"role": words, "content": words}), max_size=2),
        "sampling": st.dictionaries(
            words, st.floats(allow_nan=False, allow_infinity=False) | st.integers(), max_size=2
        ),
    }
).map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True))


def recorded_call(
    request: str, place: tuple[int, int], run: tuple[str, str], *rest: Any
) -> RecordedCall:
    expert, statement, tries, reply = rest
    return RecordedCall(
        request_key=hashlib.sha256(request.encode()).hexdigest(),
        sample=place[0],
        occurrence=place[1],
        expert=expert,
        model=expert,
        problem_key=problem_key(statement),
        attempts=tuple(tries),
        reply=reply,
        episode=run[0],
        run_id=run[1],
        request=request,
    )


recorded_calls = st.builds(
    recorded_call,
    requests,
    st.tuples(indices, indices),
    st.tuples(labels, labels),
    names,
    words,
    st.lists(attempts, min_size=1, max_size=3),
    st.none() | replies,
)


@settings(max_examples=150, deadline=None)
@given(recorded_calls)
def test_a_recorded_call_survives_the_way_through_text(call: RecordedCall) -> None:
    line = write_row(call, None)
    assert "\n" not in line
    assert read_row(line, RowRules()).call == call


@settings(max_examples=150, deadline=None)
@given(recorded_calls, replies, statements)
def test_an_answer_survives_the_way_through_text(
    call: RecordedCall, reply: Reply, statement: str
) -> None:
    answer = replace(
        call,
        request_key="",
        request="",
        occurrence=0,
        episode="",
        origin="imported",
        reply=reply,
        attempts=(Attempt("ok", reply.usage, latency_s=reply.latency_s),),
        problem_key=problem_key(statement),
    )
    for known in (statement, None):
        read = read_row(write_row(answer, known), RowRules())
        assert read.call == answer
        assert read.statement == known


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*ROW, "model", "sample", "origin", "finish", "attempts", "problem_id"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | any_text,
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
            max_leaves=5,
        ),
    )
)
def test_any_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    line = json.dumps(ROW | changes)
    try:
        read_row(line, RowRules())
    except ValueError as error:
        assert str(error).isprintable()


@dataclass(frozen=True)
class Mixed:
    """A store with calls of both kinds, one of them with half a character in its reply."""

    store: RecordingStore
    calls: list[RecordedCall]


@pytest.fixture
def mixed(store: RecordingStore, file: Path) -> Mixed:
    import_files(store, [write(file, row(), row(sample=1, expert="large", correct=True))])
    request = '{"messages":[],"model":"m","provider":"openai","sampling":{"temperature":0.7}}'
    usage = Usage(5, output_tokens=2)
    tries = [Attempt("cut", settled=False, detail="half a body"), Attempt("ok", usage)]
    place, run = (2, 1), ("episode 7", "run-1")
    store.add(recorded_call(request, place, run, "small", "What is 2 + 2?", tries, None))
    place = (3, 1)
    reply = Reply("a \ud83d", usage, "length")
    store.add(recorded_call(request, place, run, "small", "other", tries, reply))
    return Mixed(store, list(store.calls()))


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.zst"])
def test_an_export_can_be_imported(mixed: Mixed, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with open_export(path) as stream:
        assert export_calls(mixed.store, stream) == 4
    with RecordingStore.open(tmp_path / "copy.sqlite") as copy:
        report = import_files(copy, [path])
        assert (report.added, report.ignored) == (4, ())
        mended = replace(mixed.calls[3], reply=replace(mixed.calls[3].reply, text="a \ufffd"))
        assert list(copy.calls()) == [*mixed.calls[:3], mended]
        assert copy.problem_text(problem_key("What is 2 + 2?")) == "What is 2 + 2?"
        assert import_files(copy, [path]).added == 0
        first, second = io.StringIO(), io.StringIO()
        export_calls(copy, first)
        with RecordingStore.open(tmp_path / "second.sqlite") as third:
            import_files(third, [path])
            export_calls(third, second)
        assert first.getvalue() == second.getvalue()


def test_an_export_of_some_experts(mixed: Mixed) -> None:
    out = io.StringIO()
    assert export_calls(mixed.store, out, experts=["large"]) == 1
    assert json.loads(out.getvalue())["expert"] == "large"
    with pytest.raises(ConfigError, match="has no recording of 'none'; it has large, small"):
        export_calls(mixed.store, out, experts=["none"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"request": {"model": "other"}}, "was it edited?"),
        ({"request": {"api_key": "x"}}, "request holds 'api_key'"),
        ({"request": 4}, "request must be an object"),
        ({"request_key": None}, "no request_key"),
        ({"attempts": []}, "attempts must be a list of at least one"),
        ({"attempts": [4]}, "an attempt must be an object"),
        ({"attempts": [{"status": "ok", "key": "x"}]}, "an attempt has 'key'"),
        ({"attempts": [{"settled": True}]}, "an attempt's status must be"),
        ({"attempts": [{"status": "ok", "settled": 1}]}, "settled must be true or false"),
        ({"run_id": None}, "no run_id"),
    ],
)
def test_a_recorded_row_that_was_changed(
    mixed: Mixed, file: Path, change: dict[str, Any], message: str
) -> None:
    changed = json.loads(write_row(mixed.calls[2], None)) | change
    write(file, changed)
    assert message in refusal(mixed.store, file)


def test_an_export_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    with pytest.raises(RuntimeError), open_export(path) as stream:
        stream.write("new")
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]
    assert path.read_text() == "old"
    with pytest.raises(ConfigError, match="cannot write"), open_export(tmp_path / "no" / "out"):
        pass


# --- real answers of real models ---------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """A line of the tables in the recordings' README."""

    rows: int
    accuracy_percent: str
    mean_input: str
    mean_output: str


def published(readme: Path, name: str) -> dict[str, Published]:
    section = readme.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")]
    return {
        model: Published(int(rows), accuracy, mean_input, mean_output)
        for model, rows, accuracy, _, _, _, mean_input, mean_output, *_ in cells[2:]
    }


def read_packed(path: Path) -> list[dict[str, Any]]:
    with zstd.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.mark.network_data
@pytest.mark.parametrize(("name", "problems"), [("math-l5", 721), ("gsm", 1319)])
def test_recorded_answers_agree_with_their_readme(
    shared_dir: Path, store: RecordingStore, name: str, problems: int
) -> None:
    folder = shared_dir / "recordings" / name
    expected = published(folder.parent / "README.md", name)
    report = import_files(store, [folder])
    assert (report.files, report.added, report.known) == (8, 8 * problems, 0)
    assert report.ignored == ("answer_by_source_grader", "gold")

    stats = store.stats()
    assert {expert.expert for expert in stats.experts} == set(expected)
    for expert in stats.experts:
        table = expected[expert.expert]
        assert expert.calls == expert.problems == expert.estimated == table.rows == problems
        accuracy = f"{100 * expert.judged_correct / expert.judged:.2f}"
        assert accuracy == table.accuracy_percent
        assert f"{expert.input_tokens / expert.calls:.1f}" == table.mean_input
        assert f"{expert.output_tokens / expert.calls:.1f}" == table.mean_output

    statements = {
        line["problem_id"]: line["problem"] for line in read_packed(folder / "problems.jsonl.zst")
    }
    looked_up = 0
    for path in sorted(folder.glob("*.jsonl.zst")):
        for line in read_packed(path) if path.name != "problems.jsonl.zst" else []:
            key = problem_key(statements[line["problem_id"]])
            call = store.find_imported(key, "an alias", line["model"], 0)
            assert call is not None
            assert call.reply is not None
            assert call.reply.text == line["response_text"]
            assert call.reply.source_correct is line["correct_by_source_grader"]
            assert call.reply.usage.output_tokens == line["completion_tokens"]
            looked_up += 1
    assert looked_up == 8 * problems
