"""The recording store: lookups, durability, several processes, and faults of file and disk."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corl_bench.errors import ConfigError
from corl_bench.experts import store_file
from corl_bench.experts.base import ExpertSpec, Reply, Request, Sampling
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.money.prices import Price
from corl_bench.types import Message, Usage

USAGE = Usage(input_tokens=100, cached_input_tokens=20, output_tokens=50, reasoning_tokens=30)
REPLY = Reply("so the answer is $\\boxed{4}$", USAGE, "stop", "small-2025-01-01", 1.25)


def recorded(**changes: object) -> RecordedCall:
    call = RecordedCall(
        request_key="a" * 64,
        sample=0,
        occurrence=0,
        expert="small",
        model="vendor/small",
        problem_key=problem_key("What is 2 + 2?"),
        attempts=(
            Attempt("rate_limited", None, True, 0.125, "slow down"),
            Attempt("cut", None, False, 3.5),
            Attempt("ok", USAGE, True, 1.25),
        ),
        reply=REPLY,
        run_id="run-1",
        request='{"messages":[],"model":"vendor/small","provider":"openai","sampling":{}}',
    )
    return replace(call, **changes)  # type: ignore[arg-type]


def imported(**changes: object) -> RecordedCall:
    fields = {"request_key": "", "origin": "imported", "run_id": "import", "request": ""}
    return recorded(**(fields | changes))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordingStore]:
    with RecordingStore.open(tmp_path / "store.sqlite") as store:
        yield store


# --- lookups -----------------------------------------------------------------------------------


def test_a_call_comes_back_as_it_was(store: RecordingStore) -> None:
    assert store.add(recorded())
    assert store.find("a" * 64, 0, 0) == recorded()
    assert store.find("a" * 64, 0, 0, run_id="run-1") == recorded()


@pytest.mark.parametrize(
    ("key", "sample", "occurrence"), [("b" * 64, 0, 0), ("a" * 64, 1, 0), ("a" * 64, 0, 1)]
)
def test_request_sample_and_occurrence_must_all_match(
    store: RecordingStore, key: str, sample: int, occurrence: int
) -> None:
    store.add(recorded())
    assert store.find(key, sample, occurrence) is None


def test_a_call_that_failed_is_kept_with_its_attempts(store: RecordingStore) -> None:
    failed = recorded(reply=None, attempts=(Attempt("timeout", None, False, 600.0, "no answer"),))
    store.add(failed)
    assert store.find("a" * 64, 0, 0) == failed


def test_the_call_of_the_episode_goes_before_the_shared_one(store: RecordingStore) -> None:
    own = recorded(episode="e1", reply=replace(REPLY, text="own"))
    shared = recorded(reply=replace(REPLY, text="shared"))
    store.add(own)
    store.add(shared)
    assert store.find("a" * 64, 0, 0, episode="e1") == own
    assert store.find("a" * 64, 0, 0, episode="e2") == shared
    assert store.find("a" * 64, 0, 0) == shared


def test_the_call_of_another_episode_is_never_used(store: RecordingStore) -> None:
    store.add(recorded(episode="e1"))
    assert store.find("a" * 64, 0, 0) is None
    assert store.find("a" * 64, 0, 0, episode="e2") is None


def test_the_newest_run_wins_and_a_run_id_restricts(store: RecordingStore) -> None:
    first, second = recorded(), recorded(run_id="run-2", reply=replace(REPLY, text="later"))
    store.add(first)
    store.add(second)
    assert store.find("a" * 64, 0, 0) == second
    assert store.find("a" * 64, 0, 0, run_id="run-1") == first
    assert store.find("a" * 64, 0, 0, run_id="run-3") is None


def test_adding_again_changes_nothing(store: RecordingStore) -> None:
    assert store.add(recorded())
    assert not store.add(recorded(reply=replace(REPLY, text="another")))
    assert not store.add(recorded(reply=None))
    assert list(store.calls()) == [recorded()]


def test_a_failed_call_gives_way_to_the_same_call_with_a_reply(store: RecordingStore) -> None:
    store.add(recorded(reply=None))
    assert not store.add(recorded(reply=None, attempts=(Attempt("timeout"),)))
    assert store.add(recorded())
    assert list(store.calls()) == [recorded()]


def test_imported_calls_match_by_problem_and_alias_then_by_model(store: RecordingStore) -> None:
    by_model = imported(expert="vendor/small", reply=replace(REPLY, text="by model"))
    by_alias = imported(expert="small", model="other", reply=replace(REPLY, text="by alias"))
    store.add(by_model)
    key = problem_key("What is   2 + 2?\n")
    assert store.find_imported(key, "small", "vendor/small", 0) == by_model
    store.add(by_alias)
    assert store.find_imported(key, "small", "vendor/small", 0) == by_alias
    assert store.find_imported(key, "nobody", "vendor/small", 0) == by_model
    assert store.find_imported(key, "nobody", "nothing", 0) is None
    assert store.find_imported(key, "small", "vendor/small", 1) is None
    assert store.find_imported(problem_key("What is 22?"), "small", "vendor/small", 0) is None


def test_recorded_and_imported_calls_do_not_mix(store: RecordingStore) -> None:
    store.add(recorded())
    store.add(imported())
    assert store.find("", 0, 0) is None
    assert store.find("a" * 64, 0, 0) == recorded()
    assert store.find_imported(problem_key("What is 2 + 2?"), "small", "", 0) == imported()


def test_find_same_looks_at_the_very_place(store: RecordingStore) -> None:
    store.add(recorded())
    store.add(imported(expert="vendor/small"))
    assert store.find_same(recorded(reply=None)) == recorded()
    assert store.find_same(recorded(episode="e1")) is None
    assert store.find_same(recorded(run_id="run-2")) is None
    assert store.find_same(imported(expert="small")) is None
    assert store.find_same(imported(expert="vendor/small")) is not None


def test_calls_come_in_the_order_of_adding_and_end_where_they_began(store: RecordingStore) -> None:
    calls = [recorded(sample=sample) for sample in range(600)]  # more than two pages
    with store.transaction():
        for call in calls:
            store.add(call)
    seen = []
    for position, call in enumerate(store.calls()):
        seen.append(call)
        store.add(recorded(sample=10_000 + position))
    assert seen == calls


def test_a_transaction_is_all_or_nothing(store: RecordingStore) -> None:
    with pytest.raises(KeyboardInterrupt), store.transaction():
        store.add(recorded())
        store.add_problem("k", "text")
        raise KeyboardInterrupt
    assert list(store.calls()) == []
    assert store.problem_text("k") is None
    with store.transaction():
        store.add(recorded())
    assert list(store.calls()) == [recorded()]


def test_every_query_runs_on_an_index(store: RecordingStore) -> None:
    from corl_bench.experts import store as module

    arguments = module._row_of(recorded())
    for statement in (
        module._FIND_IN_ANY_RUN,
        module._FIND_IN_ONE_RUN,
        module._FIND_IMPORTED,
        module._ADD_RECORDED,
        module._ADD_IMPORTED,
    ):
        plan = store._connection.execute(f"EXPLAIN QUERY PLAN {statement}", arguments)
        steps = " ".join(row[-1] for row in plan.fetchall())
        assert "SCAN calls" not in steps
        assert "USING INDEX" in steps or "USING COVERING INDEX" in steps


texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
counts = st.integers(0, 10**12)
usages = st.builds(Usage, counts, counts, counts, counts, counts, counts, st.booleans())
seconds = st.floats(0, 1e6, allow_nan=False)
attempts = st.builds(Attempt, st.sampled_from(["ok", "cut"]), st.none() | usages, st.booleans())
replies = st.builds(
    Reply,
    texts,
    usages,
    st.sampled_from(["stop", "length", "refusal"]),
    texts,
    seconds,
    st.none() | st.booleans(),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(reply=st.none() | replies, tries=st.lists(attempts, min_size=1, max_size=3), text=texts)
def test_whatever_a_provider_says_comes_back_as_it_was(
    store: RecordingStore, reply: Reply | None, tries: list[Attempt], text: str
) -> None:
    sample = len(list(store.calls()))
    call = recorded(sample=sample, reply=reply, attempts=tuple(tries), request=text)
    store.add(call)
    assert store.find("a" * 64, sample, 0) == call


def test_threads_share_a_store(store: RecordingStore) -> None:
    def work(thread: int) -> None:
        for sample in range(50):
            store.add(recorded(sample=sample, occurrence=thread))
            assert store.find("a" * 64, sample, thread) is not None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.stats().calls == 200


# --- what it holds -----------------------------------------------------------------------------


def test_stats_count_calls_tokens_and_errors(store: RecordingStore) -> None:
    store.add(recorded())
    store.add(recorded(sample=1, reply=None, attempts=(Attempt("timeout"),)))
    store.add(
        imported(
            expert="large",
            model="large",
            attempts=(Attempt("ok"),),
            reply=Reply("4", Usage(7, output_tokens=3, estimated=True), source_correct=True),
        )
    )
    stats = store.stats()
    large, small = stats.experts
    assert stats.calls == 3
    assert (large.expert, large.calls, large.imported, large.estimated) == ("large", 1, 1, 1)
    assert (large.judged, large.judged_correct) == (1, 1)
    assert (small.calls, small.imported, small.problems, small.samples) == (2, 0, 1, 2)
    assert (small.attempts, small.errors) == (4, 1)
    assert (small.input_tokens, small.cached_input_tokens) == (120, 20)
    assert (small.output_tokens, small.reasoning_tokens) == (50, 30)
    files = store.path.parent.glob("store.sqlite*")
    on_disk = sum(file.stat().st_size for file in files if not file.name.endswith("-shm"))
    assert stats.size_bytes == on_disk > 0


def test_no_key_reaches_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-proj-Zx81secretsecretsecret"
    monkeypatch.setenv("MY_KEY", secret)
    spec = ExpertSpec(
        name="small",
        provider="openai",
        model="vendor/small",
        price=Price.__new__(Price),
        key_env="MY_KEY",
        base_url="https://user:pass@example.org/v1",
        sampling=Sampling(max_output_tokens=10),
    )
    request = Request(spec, (Message("user", "2 + 2?"),), spec.sampling, "2 + 2?")
    details = (f"Incorrect API key provided: {secret}", f"sent Authorization: Bearer {secret}")
    path = tmp_path / "store.sqlite"
    with RecordingStore.open(path) as store:
        store.add(
            recorded(
                request=request.canonical(),
                reply=None,
                attempts=tuple(Attempt("auth", detail=detail) for detail in details),
            )
        )
        (call,) = store.calls()
    assert [attempt.detail for attempt in call.attempts] == [
        "Incorrect API key provided: ***",
        "sent Authorization: Bearer ***",
    ]
    for word in ("MY_KEY", "example.org", secret):
        assert word not in call.request
        assert word.encode() not in path.read_bytes()


# --- durability and several processes ----------------------------------------------------------

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from corl_bench.experts.base import Reply
from corl_bench.experts.recording import Attempt, RecordedCall
from corl_bench.experts.store import RecordingStore
from corl_bench.types import Usage

path, who, first, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
usage = Usage(10, output_tokens=5)
with RecordingStore.open(path) as store:
    print("open", flush=True)
    for sample in range(first, first + count):
        text = f"{who} {sample} " + "x" * (sample % 5000)
        store.add(RecordedCall("k" * 64, sample, 0, who, who, "p" * 64, (Attempt("ok", usage),),
                               Reply(text, usage), run_id=who))
        print(sample, flush=True)
"""


def start_writer(path: Path, who: str, first: int, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), who, str(first), str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_kill_9_loses_no_call_whose_add_had_returned(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    random_ = random.Random(20261121)
    promised: set[int] = set()
    for round_ in range(10):
        writer = start_writer(path, "w", round_ * 100_000, 100_000)
        assert writer.stdout is not None
        for _ in range(random_.randrange(1, 400)):
            line = writer.stdout.readline().strip()
            if line.isdigit():
                promised.add(int(line))
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate()
        promised |= {int(line) for line in rest.split("\n")[:-1] if line.isdigit()}
        with RecordingStore.open(path) as store:
            stored = {call.sample for call in store.calls()}
            assert promised <= stored
            # At most the one call that was being added is there without a promise, each time.
            assert len(stored - promised) <= round_ + 1
            (health,) = store._connection.execute("PRAGMA integrity_check").fetchone()
            assert health == "ok"
    assert len(promised) > 500


def test_a_kill_before_the_tables_are_made_leaves_a_file_that_opens(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.touch()
    with RecordingStore.open(path) as store:
        store.add(recorded())
        assert store.stats().calls == 1


def test_two_processes_write_to_one_new_store_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    writers = [start_writer(path, who, 0, 400) for who in ("one", "two")]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with RecordingStore.open(path, read_only=True) as store:
        for who in ("one", "two"):
            for sample in range(400):
                call = store.find("k" * 64, sample, 0, run_id=who)
                assert call is not None
                assert call.reply is not None
                assert call.reply.text == f"{who} {sample} " + "x" * sample


def test_a_reader_sees_what_another_process_adds(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with RecordingStore.open(path):
        pass
    with RecordingStore.open(path, read_only=True) as reader:
        assert reader.find("k" * 64, 0, 0) is None
        writer = start_writer(path, "w", 0, 1)
        writer.communicate()
        assert reader.find("k" * 64, 0, 0) is not None


# --- faults, each one line ---------------------------------------------------------------------


def message_of(path: Path, **options: bool) -> str:
    with pytest.raises(ConfigError) as caught:
        RecordingStore.open(path, **options).close()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    for options in ({"create": False}, {"read_only": True}):
        assert f"no recordings at {path}" in message_of(path, **options)
    assert not path.exists()


def test_an_empty_file_has_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    assert "empty file" in message_of(path, read_only=True)
    assert path.stat().st_size == 0


def test_folders_are_made_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b ? # %41" / "store.sqlite"
    with RecordingStore.open(path) as store:
        store.add(recorded())
    assert path.is_file()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert "is a folder" in message_of(tmp_path)
    (tmp_path / "file").write_text("x")
    assert "cannot reach" in message_of(tmp_path / "file" / "store.sqlite")


@pytest.mark.parametrize("content", [b'{"problem": "text"}\n' * 50, b"\0" * 4096, b"SQLite"])
def test_another_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for read_only in (False, True):
        assert "is not a recording store" in message_of(path, read_only=read_only)
    assert path.read_bytes() == content


def test_another_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "browser.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    assert "is not a recording store" in message_of(path)
    assert path.read_bytes() == before


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with RecordingStore.open(path) as store:
        store._connection.execute(f"PRAGMA user_version = {store_file.SCHEMA_VERSION + 1}")
    assert "newer corl-bench (schema 2" in message_of(path)
    assert "newer corl-bench (schema 2" in message_of(path, read_only=True)


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with RecordingStore.open(path) as store:
        for sample in range(200):
            store.add(recorded(sample=sample, reply=replace(REPLY, text=f"{sample}" * 900)))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(1).randbytes(size - 4096))
    with pytest.raises(ConfigError, match="is damaged") as caught, RecordingStore.open(path) as s:
        list(s.calls())
    assert "\n" not in str(caught.value)


def test_a_damaged_row_is_named(store: RecordingStore) -> None:
    store.add(recorded())
    for column, value in (("text", b"no deflate"), ("attempts", "{"), ("reply", '{"usage":{}}')):
        store._connection.execute(f"UPDATE calls SET {column} = ?", (value,))
        with pytest.raises(ConfigError, match="is damaged"):
            store.find("a" * 64, 0, 0)
        with pytest.raises(ConfigError, match="is damaged"):
            list(store.calls())


def test_a_lock_that_stays_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.sqlite"
    monkeypatch.setattr(store_file, "BUSY_TIMEOUT_S", 0.05)
    with RecordingStore.open(path) as holder, RecordingStore.open(path) as other:
        with holder.transaction():
            for attempt in (lambda: other.add(recorded()), lambda: other.transaction().__enter__()):
                with pytest.raises(ConfigError, match="locked by another process"):
                    attempt()
            assert "locked by another process" in message_of(path)
            assert other.find("a" * 64, 0, 0) is None  # reading goes on
        assert other.add(recorded())


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with RecordingStore.open(path) as store:
        store.add(recorded())
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        big = replace(REPLY, text=random.Random(1).randbytes(40_000).hex())
        with pytest.raises(ConfigError, match="disk is full"):
            store.add(recorded(sample=1, reply=big))
        with pytest.raises(ConfigError, match="disk is full"), store.transaction():
            store.add(recorded(sample=1, reply=big))
        assert list(store.calls()) == [recorded()]
    with RecordingStore.open(path) as store:
        assert store.add(recorded(sample=1, reply=big))


def limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))


def test_a_disk_that_refuses_to_write_ends_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    script = "from corl_bench.errors import CorlError\ntry:\n"
    script += "".join(f"    {line}\n" for line in WRITER.strip().splitlines())
    script += "except CorlError as error:\n    sys.exit(str(error))\n"
    run = subprocess.run(
        [sys.executable, "-c", script, str(path), "w", "0", "5000"],
        capture_output=True,
        text=True,
        preexec_fn=limit_file_size,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "cannot be read or written" in run.stderr or "disk is full" in run.stderr
    promised = {int(line) for line in run.stdout.split("\n") if line.isdigit()}
    with RecordingStore.open(path) as store:
        assert {call.sample for call in store.calls()} == promised != set()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users reach (pytest's own is closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix="corl-store-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def not_root() -> Iterator[None]:
    """Root may write anywhere; for a while, be someone else."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_reading_writes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with RecordingStore.open(path) as store:
        store.add(recorded())
    before = path.read_bytes()
    with RecordingStore.open(path, read_only=True) as store:
        assert list(store.calls()) == [recorded()]
        with pytest.raises(ConfigError):
            store.add(recorded(sample=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_one_may_not_write_to_can_be_read(public_folder: Path) -> None:
    path = public_folder / "store.sqlite"
    with RecordingStore.open(path) as store:
        store.add(recorded())
    public_folder.chmod(0o555)
    with not_root():
        with RecordingStore.open(path, read_only=True) as store:
            assert list(store.calls()) == [recorded()]
        assert "copy it to a folder where you may write" in message_of(path)
        assert "copy it to a folder where you may write" in message_of(public_folder / "new.sqlite")
    public_folder.chmod(0o755)


def test_a_log_that_cannot_be_read_in_is_not_passed_over(public_folder: Path) -> None:
    path = public_folder / "store.sqlite"
    with RecordingStore.open(path) as store:
        store.add(recorded())
        killed = public_folder / "killed.sqlite"
        for suffix in ("", "-wal"):  # as a killed writer leaves them
            shutil.copy(f"{path}{suffix}", f"{killed}{suffix}")
    public_folder.chmod(0o555)
    with not_root():
        assert "copy it to a folder where you may write" in message_of(killed, read_only=True)
    public_folder.chmod(0o755)
    with RecordingStore.open(killed, read_only=True) as store:
        assert list(store.calls()) == [recorded()]
