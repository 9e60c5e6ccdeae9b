"""The experts' server of a job: a process of its own, with its key, its cap and its address."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_train.openrlhf.experts_server import ExpertsServer, Terms
from corl_train.openrlhf.workers import KEY_VARIABLE, enter, read_key, write_key
from servers.fault_server import FaultServer
from servers.threads import in_thread

ONE = Terms(Decimal(1))


def noted(server: ExpertsServer) -> dict[str, Any]:
    """What is known of the server's process."""
    read: dict[str, Any] = json.loads((server.folder / "experts" / "process.json").read_bytes())
    return read


def note(server: ExpertsServer, **changes: Any) -> None:
    path = server.folder / "experts" / "process.json"
    path.write_text(json.dumps(noted(server) | changes))


@pytest.fixture
def expert() -> Iterator[FaultServer]:
    with in_thread(FaultServer) as server:
        yield server


@pytest.fixture
def pool(tmp_path: Path, expert: FaultServer) -> str:
    path = tmp_path / "source.toml"
    path.write_text(
        '[budgets]\nlow = "0.01"\n[experts.mini]\nprovider = "openai"\nmodel = "gpt-4.1"\n'
        f'base_url = "{expert.base_url}"\nmax_output_tokens = 100\nprice = "openai/gpt-4.1"\n'
    )
    return str(path)


def test_it_comes_up_goes_and_comes_again_where_it_was(tmp_path: Path, pool: str) -> None:
    server = ExpertsServer(tmp_path / "job")
    assert server.health_url == ""
    server.stop()  # nothing is at work
    with pytest.raises(ConfigError, match="does not answer"):
        server.stats()
    server.start(pool, ONE)
    try:
        address = server.address
        assert address is not None
        assert load_pool(str(server.folder / "pool.toml")).experts[0].key_env == KEY_VARIABLE
        assert server.stats()["cap_usd"] == "1"
        begun = noted(server)
        assert begun["machine"] == socket.gethostname()
        assert server.start(pool, Terms(Decimal("1.00"))) is False  # it is there
        assert noted(server) == begun
        assert server.start(pool, Terms(Decimal(2))) is True
        assert server.stats()["cap_usd"] == "2"
        assert server.address == address
    finally:
        server.stop()
    with pytest.raises(ConfigError, match="repeat the `corl-train launch`"):
        server.stats()


def test_its_key_is_its_owners_alone(
    tmp_path: Path, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ExpertsServer(tmp_path / "job")
    server.start(pool, ONE)
    try:
        key = read_key(server.folder)
        assert key is not None
        assert len(key) > 30
        assert stat.S_IMODE((server.folder / "worker.env").stat().st_mode) == 0o600
        process = json.loads((server.folder / "experts" / "process.json").read_bytes())["process"]
        assert key.encode() not in Path(f"/proc/{process}/cmdline").read_bytes()
        for path in server.folder.rglob("*"):
            if path.is_file() and path.name != "worker.env":
                assert key.encode() not in path.read_bytes(), path
        # A worker finds it, and takes no other job's; without a job nothing happens.
        monkeypatch.setenv(KEY_VARIABLE, "of another job")
        enter()
        assert os.environ[KEY_VARIABLE] == "of another job"
        monkeypatch.setenv("CORL_JOB", str(server.folder / "job.json"))
        enter()
        assert os.environ[KEY_VARIABLE] == key
        monkeypatch.delenv(KEY_VARIABLE)
        enter()
        assert os.environ[KEY_VARIABLE] == key
    finally:
        monkeypatch.delenv(KEY_VARIABLE, raising=False)
        server.stop()


def test_another_pool_has_another_server(tmp_path: Path, pool: str, expert: FaultServer) -> None:
    server = ExpertsServer(tmp_path / "job")
    server.start(pool, ONE)
    try:
        begun, address = noted(server), server.address
        text = Path(pool).read_text()
        Path(pool).write_text(text.replace("max_output_tokens = 100", "max_output_tokens = 50"))
        assert server.start(pool, ONE) is True
        assert noted(server)["process"] != begun["process"]
        assert not Path(f"/proc/{begun['process']}").exists()
        assert server.address == address
        # An address is no part of a pool's own digest, and matters here all the same.
        Path(pool).write_text(text.replace(expert.base_url, "http://127.0.0.1:9/v1"))
        assert server.start(pool, ONE) is True
    finally:
        server.stop()


def test_one_that_has_died_is_started_again_where_it_was(tmp_path: Path, pool: str) -> None:
    server = ExpertsServer(tmp_path / "job")
    server.start(pool, ONE)
    try:
        address, process = server.address, noted(server)["process"]
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        assert not server.is_at_work
        assert server.was_started
        assert server.start(pool, ONE) is True
        assert server.is_at_work
        assert server.address == address
    finally:
        server.stop()
    assert not server.was_started


def test_another_machines_is_used_where_it_answers_and_never_doubled(
    tmp_path: Path, pool: str
) -> None:
    """The directory is shared; a process's number is not."""
    server = ExpertsServer(tmp_path / "job")
    server.start(pool, ONE)
    begun = noted(server)
    try:
        note(server, machine="node-a")
        # Of the same number, here, there may be anything.
        assert server.is_at_work
        assert server.start(pool, ONE) is False
        assert noted(server)["process"] == begun["process"]
        there = rf"started on node-a \(process {begun['process']}\)"
        with pytest.raises(ConfigError, match=rf"{there}, and works on other terms: repeat this"):
            server.start(pool, Terms(Decimal(2)))
        with pytest.raises(ConfigError, match=rf"{there}: end it there"):
            server.stop()
        assert server.stats()["cap_usd"] == "1"
    finally:
        note(server, machine=begun["machine"])
        server.stop()
    (server.folder / "experts" / "process.json").write_text(
        json.dumps(begun | {"machine": "node-a"})
    )
    assert not server.is_at_work
    with pytest.raises(ConfigError, match=rf"{there}, and does not answer from here: .*no more de"):
        server.start(pool, ONE)
    (server.folder / "experts" / "process.json").unlink()  # as it says
    assert server.start(pool, ONE) is True
    server.stop()


def test_what_answers_there_with_another_key_is_not_ours(tmp_path: Path, pool: str) -> None:
    """On loopback an address of another machine is one of this."""
    server = ExpertsServer(tmp_path / "job")
    server.start(pool, ONE)
    machine = noted(server)["machine"]
    key = read_key(server.folder)
    assert key is not None
    try:
        note(server, machine="node-a")
        write_key(server.folder, "of this job")
        assert not server.is_at_work
        with pytest.raises(ConfigError, match="does not answer from here"):
            server.start(pool, ONE)
    finally:
        write_key(server.folder, key)
        note(server, machine=machine)
        server.stop()


def test_what_keeps_it_from_coming_up_is_said(tmp_path: Path, pool: str) -> None:
    server = ExpertsServer(tmp_path / "job")
    with pytest.raises(ConfigError, match="no pool 'nosuch'"):
        server.start("nosuch", ONE)
    with pytest.raises(ConfigError, match=r"does not come up: .*203\.0\.113\.1"):
        server.start(pool, Terms(Decimal(1), host="203.0.113.1"))
    assert not server.was_started


def test_a_number_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    server = ExpertsServer(tmp_path / "job")
    (server.folder / "experts").mkdir(parents=True)
    (server.folder / "experts" / "process.json").write_text(
        json.dumps({"process": os.getpid(), "machine": socket.gethostname()})
    )
    assert not server.is_at_work
    server.stop()


def test_a_broken_key_file_is_none(tmp_path: Path) -> None:
    assert read_key(tmp_path) is None
    write_key(tmp_path, "abc")
    write_key(tmp_path, "def")
    assert read_key(tmp_path) == "def"
    assert [path.name for path in tmp_path.iterdir()] == ["worker.env"]
    (tmp_path / "worker.env").write_text("ANOTHER_KEY=abc\n")
    assert read_key(tmp_path) is None
