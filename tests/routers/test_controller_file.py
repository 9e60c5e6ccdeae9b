"""What follows `controller:`: files, directories, addresses, and what cannot be one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from corl_bench.errors import ConfigError, CorlError, UnpricedModelError
from corl_bench.experts.base import Pool
from corl_bench.routers.controller import Controller
from corl_bench.routers.controller_file import make_controllers
from corl_bench.routers.registry import code_digest, parse_systems

MODEL = """
name = "own"
protocol = "digest"

[model]
provider = "openai"
base_url = "http://127.0.0.1:8000/v1"
model = "corl-7b"

[model.price]
input_usd_per_mtok = "0.05"
output_usd_per_mtok = "0.1"
effective_from = 2026-01-01
source = "mine"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ctl").mkdir()
    (tmp_path / "ctl" / "controller.toml").write_text(MODEL)
    return tmp_path / "ctl"


def made(rest: object, pool: Pool) -> Controller:
    (controller,) = make_controllers(str(rest), pool)
    assert isinstance(controller, Controller)
    return controller


def refusal(rest: object, pool: Pool) -> str:
    with pytest.raises(CorlError) as caught:
        make_controllers(str(rest), pool)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_its_directory_and_a_slash_are_one_controller(folder: Path, pool: Pool) -> None:
    controller = made(folder, pool)
    own = controller.own_model
    assert (own.name, own.model, own.role, own.provider) == ("own", "corl-7b", "self", "openai")
    assert own.price.output_usd_per_mtok == Decimal("0.1")
    assert controller.protocol.name == "digest"
    assert controller.experts == ("cheap", "middle", "dear")
    assert made(f"{folder}/", pool) == controller
    assert made(folder / "controller.toml", pool).own_model == own
    (parsed,) = parse_systems([f"controller:{folder}"], pool)
    assert parsed == controller


def test_the_protocol_says_how_much_a_turn_may_say(folder: Path, pool: Pool) -> None:
    assert made(folder, pool).own_model.sampling.max_output_tokens == 24
    path = folder / "controller.toml"
    path.write_text(MODEL.replace("[model]", "[model]\nmax_output_tokens = 24"))
    assert made(folder, pool).own_model.sampling.max_output_tokens == 24
    path.write_text(MODEL.replace("[model]", "[model]\nmax_output_tokens = 99"))
    assert "max_turn_tokens of protocol 'digest' (24)" in refusal(folder, pool)


def test_defaults_are_the_folder_s_name_and_the_protocol_corl(folder: Path, pool: Pool) -> None:
    text = MODEL.replace('name = "own"', "").replace('protocol = "digest"', "")
    (folder / "controller.toml").write_text(text)
    controller = made(folder, pool)
    assert controller.own_model.name == "ctl"
    assert controller.protocol.name == "corl"


def test_a_protocol_and_weights_lie_beside_the_file(folder: Path, pool: Pool) -> None:
    source = Path(__file__).parents[2] / "harness/corl_bench/routers/protocols/corl.toml"
    (folder / "mine.toml").write_text(source.read_text().replace("max_calls = 4", "max_calls = 2"))
    text = MODEL.replace('"digest"', '"mine.toml"') + '[model.options]\npath = "weights"\n'
    (folder / "controller.toml").write_text(text)
    controller = made(folder, pool)
    assert controller.protocol.max_calls == 2
    assert controller.own_model.options["path"] == str(folder / "weights")
    # Wherever it lies it is the same controller; with another protocol it is another one.
    moved = folder.rename(folder.with_name("moved"))
    assert code_digest(made(moved, pool)) == code_digest(controller)
    (moved / "mine.toml").write_text(source.read_text())
    assert code_digest(made(moved, pool)) != code_digest(controller)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[model]", "[models]", "unknown key 'models'"),
        ('name = "own"', 'nam = "own"', "unknown key 'nam'"),
        ('name = "own"', 'name = ""', "name and protocol are texts"),
        ('"digest"', '"digset"', "there are cards, corl, digest"),
        ('"digest"', '"mine.toml"', "cannot read protocol"),
        ('model = "corl-7b"', 'modle = "corl-7b"', "did you mean model?"),
        (
            'source = "mine"',
            'sauce = "mine"',
            "model.price.sauce: unknown key (did you mean source?)",
        ),
        ("http://", "http://me:secret@", "model: base_url must not hold"),
        ("[model]", "[model", "no TOML"),
    ],
)
def test_what_is_no_controller_is_one_line(
    folder: Path, pool: Pool, old: str, new: str, said: str
) -> None:
    assert old in MODEL
    (folder / "controller.toml").write_text(MODEL.replace(old, new))
    line = refusal(folder, pool)
    assert said in line
    assert "secret" not in line


def test_without_a_price_there_is_no_controller(folder: Path, pool: Pool) -> None:
    (folder / "controller.toml").write_text(MODEL.partition("[model.price]")[0])
    with pytest.raises(UnpricedModelError, match=r"model\.price: no price for 'openai/corl-7b'"):
        make_controllers(str(folder), pool)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("", "name a directory, a controller.toml, or a server's address"),
        ("nowhere", "there is no nowhere"),
        ("http://127.0.0.1:9", "no list of models at http://127.0.0.1:9/models"),
        ("http://me:secret@127.0.0.1:9/v1", "must not hold a user or a password"),
        ("http://[1/v1#m", "must be an address"),
        ("http://127.0.0.1:9/v1#corl-7b", "no openai/corl-7b: write a controller.toml"),
    ],
)
def test_what_is_nowhere_is_one_line(pool: Pool, rest: str, said: str) -> None:
    line = refusal(rest, pool)
    assert said in line
    assert "secret" not in line


def test_the_files_of_the_documentation_are_what_they_say(tmp_path: Path, pool: Pool) -> None:
    page = (Path(__file__).parents[2] / "docs" / "controllers.md").read_text(encoding="utf-8")
    described, foreign = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "controller.toml").write_text(described)
    controller = made(tmp_path, pool)
    assert (controller.own_model.name, controller.protocol.name) == ("corl-7b", "corl")
    (tmp_path / "controller.toml").write_text(foreign)
    experts = tuple(replace(pool.experts[0], name=name) for name in ("qwen-7b", "llama-70b"))
    controller = made(tmp_path, replace(pool, experts=experts))
    assert controller.protocol.stops == ("</search>", "</answer>")
    assert controller.names["qwen-7b"] == "Qwen2.5-7B-Instruct"


@pytest.fixture
def listing() -> Iterator[dict[str, Any]]:
    """A server that answers anything with `body`."""
    answer: dict[str, Any] = {"body": b"", "status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"])
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    answer["url"] = f"http://127.0.0.1:{server.server_port}/v1"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield answer
    server.shutdown()
    server.server_close()


def test_a_server_s_only_model_is_looked_up(
    pool: Pool, listing: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    listing["body"] = b'{"data": [{"id": "gpt-4.1-nano"}]}'
    controller = made(listing["url"], Pool("p", pool.experts, price_date=date(2026, 8, 21)))
    assert controller.name == "controller:gpt-4.1-nano"
    assert controller.own_model.base_url == listing["url"]
    assert controller.own_model.key_env is None
    assert controller.own_model.price.output_usd_per_mtok == Decimal("0.4")
    assert controller.own_model.sampling.max_output_tokens == 1024


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"data": [{"id": "a"}, {"id": "b"}]}', "serves a, b: name one model"),
        (b'{"data": []}', "serves nothing"),
        (b'{"data": 3}', "no list of models"),
        (b'{"data": [{"name": "a"}]}', "no list of models"),
        (b"[" * 200_000, "no list of models"),
        (b"\xff", "no list of models"),
    ],
)
def test_what_lists_no_model_is_one_line(
    pool: Pool, listing: dict[str, Any], body: bytes, said: str
) -> None:
    listing["body"] = body
    assert said in refusal(listing["url"], pool)
    with pytest.raises(ConfigError):
        make_controllers(listing["url"], pool)
