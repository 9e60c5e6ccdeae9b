"""The experts' server of a job: a process of its own, with its key, its cap and its address."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_train.openrlhf.experts_server import ExpertsServer
from corl_train.openrlhf.workers import KEY_VARIABLE, enter, read_key, write_key
from servers.fault_server import FaultServer
from servers.threads import in_thread


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
    server.start(pool, cap_usd=Decimal(1), host="127.0.0.1")
    try:
        address = server.address
        assert address is not None
        assert load_pool(str(server.folder / "pool.toml")).experts[0].key_env == KEY_VARIABLE
        assert server.stats()["cap_usd"] == "1"
        begun = json.loads((server.folder / "experts" / "process.json").read_bytes())
        server.start(pool, cap_usd=Decimal(1), host="127.0.0.1")  # it is there
        assert json.loads((server.folder / "experts" / "process.json").read_bytes()) == begun
        server.start(pool, cap_usd=Decimal(2), host="127.0.0.1")
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
    server.start(pool, cap_usd=Decimal(1), host="127.0.0.1")
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
        # A worker finds it; a process that has one keeps it; without a job nothing happens.
        monkeypatch.delenv(KEY_VARIABLE, raising=False)
        enter()
        assert KEY_VARIABLE not in os.environ
        monkeypatch.setenv("CORL_JOB", str(server.folder / "job.json"))
        monkeypatch.setenv(KEY_VARIABLE, "mine")
        enter()
        assert os.environ[KEY_VARIABLE] == "mine"
        monkeypatch.delenv(KEY_VARIABLE)
        enter()
        assert os.environ[KEY_VARIABLE] == key
    finally:
        monkeypatch.delenv(KEY_VARIABLE, raising=False)
        server.stop()


def test_what_keeps_it_from_coming_up_is_said(tmp_path: Path) -> None:
    server = ExpertsServer(tmp_path / "job")
    with pytest.raises(ConfigError, match=r"does not come up: .*no pool 'nosuch'"):
        server.start("nosuch", cap_usd=Decimal(1), host="127.0.0.1")


def test_a_number_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    server = ExpertsServer(tmp_path / "job")
    (server.folder / "experts").mkdir(parents=True)
    (server.folder / "experts" / "process.json").write_text(json.dumps({"process": os.getpid()}))
    server.stop()


def test_a_broken_key_file_is_none(tmp_path: Path) -> None:
    assert read_key(tmp_path) is None
    write_key(tmp_path, "abc")
    write_key(tmp_path, "def")
    assert read_key(tmp_path) == "def"
    assert [path.name for path in tmp_path.iterdir()] == ["worker.env"]
