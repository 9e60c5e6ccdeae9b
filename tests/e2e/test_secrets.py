"""Planted keys are looked for in every byte that the product leaves: files, output, children.

The providers here are as bad as they come: they put the key that they were sent into answers,
model names, errors and redirections. What is searched is everything below the folder, databases
as raw bytes and unpacked, everything that was printed, and the environments of child processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from corl_bench.environments import for_computing, without_keys_in
from corl_bench.grading.workers import Worker
from serve.processes import environment, process

PROVIDER_KEY = "Zq8-planted-provider-key-71c4"
OTHER_KEY = "Zq8-planted-second-provider-5d2a"
USER_KEY = "Zq8-planted-user-of-serve-90ee"
SHARE_KEY = "Zq8-planted-worker-token-33b1"
UNRELATED = "Zq8-planted-unrelated-token-8f00"
PLANTED = (PROVIDER_KEY, OTHER_KEY, USER_KEY, SHARE_KEY, UNRELATED)
MARK = b"Zq8-planted"
"""What they have in common; no key looks like those of a known provider."""
KEYS = {
    # With the end of line that reading a file into a variable leaves.
    "PLANTED_A": PROVIDER_KEY + "\n",
    "PLANTED_B": OTHER_KEY,
    "SERVE_USER_KEY": USER_KEY,
    "POOL_SHARE_TOKEN": SHARE_KEY,
    "SOMEBODYS_TOKEN": UNRELATED,
}
SPY = """
import json, os, sys
with open("spied.json", "w") as file:
    json.dump(sorted(os.environ), file)
seen = [name for name, value in os.environ.items() if "Zq8-" "planted" in value]
for line in sys.stdin:
    asked = json.loads(line)
    if asked["type"] == "hello":
        said = {"version": 1, "task": "decide"}
    else:
        said = {"expert": "ok", "note": f"keys seen: {len(seen)}"}
    print(json.dumps({"id": asked["id"], **said}), flush=True)
"""


class Echo(BaseHTTPRequestHandler):
    """Gives the key back wherever it can: in texts, ids, errors and addresses."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        model, server = body["model"], f"http://127.0.0.1:{self.server.server_address[1]}"
        if model == "denied":
            words = f"Incorrect key: {key[:9]}\u200b{key[9:]} ({key}); header Bearer {key}"
            return self._say(401, {"error": {"message": words, "code": key}})
        if model == "moved":
            target = f"http://{key}:{key}@localhost:1/{key}?key={key}"
            return self._say(302, {}, {"Location": target})
        if model == "broken":
            return self._say(500, f"<html>upstream {server} said {key}</html>")
        said = {
            "model": f"misnamed-{key}" if model == "misnamed" else model,
            "id": key,
            "choices": [
                {
                    "message": {"content": f"Your key is {key}. \\boxed{{{key}}}"},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
        }
        return self._say(200, said, {"x-request-id": key})

    def _say(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def pool(tmp_path: Path, echo: str) -> Path:
    """A pool whose experts are all of the sort that gives keys away."""
    places = {"ok": echo, "denied": echo, "moved": echo, "broken": echo, "misnamed": echo}
    places["nowhere"] = "http://nowhere.invalid/v1"
    experts = [
        f"""
        [experts.{name}]
        provider = "openai"
        model = "{name}"
        base_url = "{url}"
        key_env = "{"PLANTED_B" if name == "broken" else "PLANTED_A"}"
        key_over_http = true
        max_output_tokens = 50
        max_attempts = 1
        price = {{ input_usd_per_mtok = 1, output_usd_per_mtok = 2, effective_from = 2025-01-01,
                   source = "tests" }}
        """.replace("\n                  ", " ")
        for name, url in places.items()
    ]
    (path := tmp_path / "pool.toml").write_text(textwrap.dedent("".join(experts)))
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., str]:
    """Runs a command with the keys in its environment; what it says is searched as well."""

    def run(*arguments: str | Path, code: int = 0, module: str = "corl_bench") -> str:
        done = subprocess.run(
            [sys.executable, "-m", f"{module}.cli.main", *map(str, arguments)],
            cwd=tmp_path,
            env=environment(**KEYS),
            capture_output=True,
            timeout=280,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said.decode()
        assert MARK not in said, said.decode()
        return said.decode()

    return run


def search(folder: Path) -> int:
    """Looks for the keys in all files; gives how many there were."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        data = path.read_bytes()
        assert MARK not in data, path
        assert not any(name.encode() in data for name in PLANTED), path
    return len(files)


def test_nothing_that_a_run_leaves_holds_a_key(
    tmp_path: Path, pool: Path, bench: Callable[..., str]
) -> None:
    (tmp_path / "spy.py").write_text(SPY)
    (tmp_path / "p.jsonl").write_text('{"problem": "2 + 2?", "answer": "4"}\n')
    refused = bench("pool", "check", pool, code=2)
    assert "denied" in refused
    bench(
        *("run", "--task", "p.jsonl", "--pool", pool, "--system", "single:*", "--out", "run"),
        *("--system", f"exec:{sys.executable} spy.py"),
        code=4,
    )
    rows = [json.loads(line) for line in (tmp_path / "run/episodes.jsonl").open()]
    details = {row["calls"][0]["expert"]: row["calls"][0].get("detail", "") for row in rows}
    assert "***" in details["denied"]
    assert "localhost:1" in details["moved"]
    assert "***" in next(row["response"] for row in rows if row["system"] == "single:ok")
    (spied,) = (row for row in rows if row["system"].startswith("exec:"))
    assert spied["events"] and "keys seen: 0" in spied["events"][0]
    # Everything that a user makes of it, and hands on.
    bench("report", "run")
    for form in ("lm-eval", "inspect", "every-eval-ever", "csv"):
        bench("export", "run", "--format", form, "--out", f"out-{form}")
    exported = bench("recordings", "export", "run/recordings.sqlite")
    assert "Your key is ***" in exported
    bench("baseline", "set", "run", "--to", "baseline.json", code=0)
    names = json.loads((tmp_path / "spied.json").read_text())
    assert "PATH" in names and not set(KEYS) & set(names)
    assert search(tmp_path) > 12


def test_a_server_gives_no_key_away(tmp_path: Path, pool: Path, bench: Callable[..., str]) -> None:
    (tmp_path / "keys.toml").write_text('[keys.alice]\nenv = "SERVE_USER_KEY"\n')
    serve = ("serve", "--pool", pool, "--system", "vote:ok,denied,moved,broken")
    options = ("--port", "0", "--keys", "keys.toml", "--out", "served")
    with process(tmp_path, *serve, *options, **KEYS) as (server, url):
        root = url.rstrip("/").removesuffix("/v1")
        said = b""
        for system, key in (
            ("corl", USER_KEY),
            ("corl", "wrong-" + UNRELATED),
            (UNRELATED, USER_KEY),
        ):
            said += _post(f"{root}/v1/chat/completions?key={UNRELATED}", system, key)
        said += _post(f"{root}/{UNRELATED}", "corl", USER_KEY)
        assert b"Your key is ***" in said
        assert PROVIDER_KEY.encode() not in said
        assert USER_KEY.encode() not in said
        line = Path(f"/proc/{server.pid}/cmdline")
        assert not line.exists() or MARK not in line.read_bytes()
    assert server.stdout is not None
    assert search(tmp_path) > 5


def _post(url: str, model: str, key: str) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "2 + 2?"}]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            said: bytes = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read()
    # A model that nobody serves is named back to whoever has named it.
    return said.replace(UNRELATED.encode(), b"")


def test_a_shared_pool_gives_no_key_away(
    tmp_path: Path, pool: Path, bench: Callable[..., str]
) -> None:
    share = (
        "pool",
        "share",
        pool,
        "--port",
        "0",
        "--key-env",
        "POOL_SHARE_TOKEN",
        "--out",
        "shared",
    )
    options = ("--pool-out", "worker.toml", "--max-cost", "1")
    (tmp_path / "p.jsonl").write_text('{"problem": "2 + 2?", "answer": "4"}\n')
    with process(tmp_path, *share, *options, **KEYS):
        bench(
            *("run", "--task", "p.jsonl", "--pool", "worker.toml", "--system", "single:ok"),
            *("--system", "single:denied", "--out", "run"),
            code=4,
        )
    assert search(tmp_path) > 10


def test_a_training_run_holds_no_key(tmp_path: Path, bench: Callable[..., str]) -> None:
    pytest.importorskip("torch")
    from training.tiny_runs import TINY

    settings = [part for setting in TINY for part in ("--set", setting)]
    bench("run", "quickstart", "--out", "trained", *settings, module="corl_train")
    bench("report", "trained", module="corl_train")
    assert search(tmp_path) > 6


def test_grading_workers_are_handed_what_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    worker = Worker()
    try:
        seen = Path(f"/proc/{worker.process.pid}/environ")
        if not seen.exists():
            pytest.skip("no /proc here")
        while not (data := seen.read_bytes()):  # before its program has begun
            time.sleep(0.01)
        assert b"PATH=" in data
        assert MARK not in data
    finally:
        worker.close()


def test_what_is_named_like_a_secret_stays_behind() -> None:
    names = (
        *("OPENAI_API_KEY", "APIKEY", "HF_TOKEN", "aws_secret_access_key", "AWS_ACCESS_KEY_ID"),
        *("DB_PASSWORD", "GOOGLE_APPLICATION_CREDENTIALS", "CLIENT_SECRET", "KEY", "MINE"),
    )
    kept = {"PATH": "p", "KEYBOARD": "k", "TOKENIZERS_PARALLELISM": "0", "MONKEY": "m"}
    found = without_keys_in({**dict.fromkeys(names, "x"), **kept}, {"MINE"})
    assert found == kept
    assert set(for_computing({**dict.fromkeys(names, "x"), **kept})) == {"PATH"}
