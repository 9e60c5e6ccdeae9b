"""What may stand in an endpoint's file, and the one line about what may not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError, CorlError
from corl_bench.experts.attempts import worst_case_usd
from corl_bench.experts.base import Request
from corl_bench.experts.pools import load_pool
from corl_bench.routers.endpoint_file import read_endpoint
from corl_bench.routers.registry import code_digest, parse_systems
from corl_bench.types import Message

MODEL = '[model]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "auto"\n'
SIM = load_pool("sim")


def write(folder: Path, text: str) -> str:
    path = folder / "router.toml"
    path.write_text(text)
    return str(path)


def test_an_address_alone() -> None:
    (system,) = parse_systems(["endpoint:http://127.0.0.1:6060/v1#router-mf-0.1"], SIM)
    assert system.name == "endpoint:router-mf-0.1"
    endpoint = read_endpoint("http://127.0.0.1:6060/v1/#router-mf-0.1", SIM)
    own = endpoint.own_model
    assert (own.base_url, own.options["asks_for"]) == ("http://127.0.0.1:6060/v1", "router-mf-0.1")
    assert own.key_env is None  # a key goes nowhere that no file says
    assert own.sampling.max_output_tokens == max(
        expert.sampling.max_output_tokens or 0 for expert in SIM.experts
    )
    assert own.tariff is not None
    assert own.tariff.worst_case_usd is None


def test_everything_that_a_file_can_say(tmp_path: Path) -> None:
    text = f"""
name = "mine"
{MODEL}
key_env = "MY_KEY"
max_output_tokens = 77
max_attempts = 2
options = {{ body = {{ plugins = ["a"] }} }}
[cost]
worst_case_usd = "0.5"
fee_usd_per_call = "0.001"
fee_usd_per_mtok = 2
model_header = "x-model"
cost_header = "x-cost"
[models]
theirs = "nano"
other = "openai/gpt-4.1"
[preflight]
prompts = ["a", "b"]
repeats = 2
easy = "1 + 1?"
hard = "Prove it."
health_url = "/health"
health_expects = "mf"
max_output_tokens = 5
"""
    endpoint = read_endpoint(write(tmp_path, text), SIM)
    own, probes = endpoint.own_model, endpoint.probes
    assert (endpoint.name, own.name, own.model, own.role) == (
        "endpoint:mine",
        "mine",
        "mine/auto",
        "self",
    )
    assert (own.key_env, own.sampling.max_output_tokens, own.max_attempts) == ("MY_KEY", 77, 2)
    assert own.options["body"] == {"plugins": ["a"]}
    assert own.tariff is not None
    assert own.tariff.worst_case_usd == Decimal("0.5")
    assert own.tariff.fees.due(1_000_000) == Decimal("2.001")
    theirs, other = own.tariff.rates["theirs"], own.tariff.rates["other"]
    assert theirs is not None and other is not None
    assert (theirs.expert, theirs.price) == ("nano", SIM["nano"].price)
    assert (other.expert, other.price.model) == ("", "openai/gpt-4.1")
    assert (probes.prompts, probes.repeats, probes.max_output_tokens) == (("a", "b"), 2, 5)
    assert (probes.easy, probes.hard) == ("1 + 1?", "Prove it.")
    assert (probes.health_url, probes.health_expects) == ("http://127.0.0.1:9/health", "mf")


def test_without_a_stated_worst_case_the_dearest_model_bounds_a_call(tmp_path: Path) -> None:
    own = read_endpoint(write(tmp_path, MODEL), SIM).own_model
    request = Request(own, (Message("user", "x" * 1000),), own.sampling, "")
    assert worst_case_usd(request) >= max(
        expert.price.worst_case_usd(1000, own.sampling.max_output_tokens or 0)
        for expert in SIM.experts
    )
    assert worst_case_usd(request) > 0


def test_a_model_with_two_prices_has_none(tmp_path: Path) -> None:
    expert = """
[experts.{0}]
provider = "openai"
model = "m"
max_output_tokens = 9
price = {{ input_usd_per_mtok = "{1}", output_usd_per_mtok = "1", effective_from = 2026-01-01, source = "s" }}
"""  # noqa: E501
    path = tmp_path / "pool.toml"
    path.write_text(expert.format("a", 1) + expert.format("b", 2) + expert.format("c", 2))
    own = read_endpoint(write(tmp_path, MODEL), load_pool(str(path))).own_model
    assert own.tariff is not None
    assert own.tariff.rates["m"] is None
    prices = [rate.price.input_usd_per_mtok for rate in own.tariff.rates.values() if rate]
    assert prices == [1, 2, 2]


@pytest.mark.parametrize(
    "change",
    [
        '[cost]\nfee_usd_per_call = "0.001"',
        '[models]\nx = "openai/gpt-4.1"',
        "[model.options]\nbody = { plugins = [] }",
    ],
)
def test_what_a_system_is_made_of_is_its_identity(tmp_path: Path, change: str) -> None:
    plain = read_endpoint(write(tmp_path, MODEL), SIM)
    other = read_endpoint(write(tmp_path, MODEL + change), SIM)
    moved = read_endpoint(write(tmp_path, MODEL.replace(":9/", ":10/")), SIM)
    assert code_digest(plain) == code_digest(moved) != code_digest(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "declare the server as a table"),
        ("[model]\nmodel = 'x'", "model.base_url: missing"),
        (MODEL + 'price = "openai/o3"', "model.price: leave it out"),
        (MODEL + 'provider = "openai"', "model.provider: leave it out"),
        (MODEL + 'usage = "estimate"', "model.usage: leave it out"),
        (MODEL + "max_token = 5", "max_output_tokens"),
        (MODEL + "[costs]\nx = 1", "unknown key 'costs'"),
        (MODEL + '[cost]\nworst_case_usd = "-1"', "cost.worst_case_usd"),
        (MODEL + "[cost]\nworst_case_usd = nan", "cost.worst_case_usd"),
        (MODEL + "[cost]\nfee = 1", "cost.fee: unknown key"),
        (MODEL + '[models]\nx = "nobody"', "models.x: 'nobody' is no expert .*no price of it"),
        (MODEL + "[models]\nx = 7", "models.x: name an expert"),
        ("models = 7\n" + MODEL, "models: write a table"),
        (MODEL + '[preflight]\neasy = "1"', "easy and hard go together"),
        (MODEL + "[preflight]\nrepeats = 0", "preflight.repeats"),
        (MODEL + '[preflight]\nhealth_url = "ftp://x"', "health_url"),
        (MODEL + '[preflight]\nhealth_url = "http://u:s3cret@x/h"', "must not hold a user"),
        (MODEL.replace("http://", "http://me:s3cret@"), "must not hold a user"),
        (
            MODEL.replace("http://127.0.0.1:9", "http://example.org") + 'key_env = "K"',
            "unencrypted",
        ),
        ("name = 7\n" + MODEL, "name is a text"),
        ("[model", "no TOML"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CorlError, match=message) as caught:
        read_endpoint(write(tmp_path, text), SIM)
    assert len(str(caught.value).splitlines()) == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("", "name a TOML file"),
        ("nowhere.toml", "there is no such file"),
        ("http://127.0.0.1:9/v1", "endpoint:URL#MODEL"),
        ("http://me:s3cret@127.0.0.1:9/v1#x", "must not hold a user"),
    ],
)
def test_mistakes_behind_the_colon(rest: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_endpoint(rest, SIM)
    assert "s3cret" not in str(caught.value)


def test_no_expert_of_a_pool_routes_by_itself(tmp_path: Path) -> None:
    from corl_bench.experts.providers import ProviderContext, make_provider
    from corl_bench.experts.transport import Transport

    path = tmp_path / "pool.toml"
    path.write_text(
        '[experts.r]\nprovider = "routed"\nbase_url = "http://127.0.0.1:9/v1"\n'
        "max_output_tokens = 5\n"
        'price = { input_usd_per_mtok = "1", output_usd_per_mtok = "1",'
        ' effective_from = 2026-01-01, source = "s" }\n'
    )
    pool = load_pool(str(path))
    with pytest.raises(ConfigError, match="endpoint:URL"):
        make_provider(pool["r"], ProviderContext(pool=pool, transport=Transport({})))
