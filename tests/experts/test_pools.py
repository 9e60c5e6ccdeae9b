"""Pool files: what they mean, what they refuse and in which words, and what their digest covers."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError, CorlError, UnpricedModelError
from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.pool_file import (
    ExpertTable,
    GpuPriceTable,
    PoolTable,
    PriceTable,
    SharedTable,
)
from corl_bench.experts.pools import builtin_pools, load_pool, pool_digest
from corl_bench.experts.simulation.tables import read_simulation

DAY = date(2026, 8, 21)

FULL = """
name = "mine"
price_date = 2025-06-09

[budgets]
low = "0.0005"
high = 0.01
whole = 1

[experts.o3]
provider = "openai"
max_output_tokens = 8000
reasoning_effort = "high"

[experts.sonnet]
provider = "anthropic"
model = "claude-sonnet-5"
price = "openai/gpt-4.1"
description = "a strong
  all-rounder"

[experts.local]
provider = "openai"
model = "Qwen/Qwen2.5-7B-Instruct"
role = "self"
base_url = "http://127.0.0.1:8000/v1"
temperature = 0.7
top_p = 1
stop = ["</answer>"]
timeout_s = 30
max_attempts = 2
max_concurrency = 8
usage = "estimate"
send_seed = true
options = { body = { chat_template_kwargs = { enable_thinking = false }, top_k = 20 } }

[experts.local.price]
input_usd_per_mtok = 0.04
output_usd_per_mtok = "0.10"
cached_input_usd_per_mtok = 0
effective_from = 2026-08-21
source = "our GPU bill"
"""
FULL = FULL.replace('"a strong\n  all-rounder"', '"""a strong\n  all-rounder"""')

O3 = '[experts.o3]\nprovider = "openai"\n'
PRICE = (
    'price = {input_usd_per_mtok = "1", output_usd_per_mtok = "2", '
    'effective_from = 2026-01-01, source = "s"}\n'
)


def write(folder: Path, text: str, name: str = "pool.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_key_reaches_the_experts(tmp_path: Path) -> None:
    pool = load_pool(write(tmp_path, FULL))
    assert (pool.name, pool.price_date) == ("mine", date(2025, 6, 9))
    assert pool.budgets == {"low": "0.0005", "high": "0.01", "whole": "1"}
    assert [expert.name for expert in pool.experts] == ["o3", "sonnet", "local"]

    o3 = pool["o3"]
    assert (o3.model, o3.role, o3.key_env) == ("o3", "expert", "OPENAI_API_KEY")
    assert o3.price.output_usd_per_mtok == Decimal(40)
    assert o3.sampling.as_dict() == {"max_output_tokens": 8000, "reasoning_effort": "high"}

    sonnet = pool["sonnet"]
    assert sonnet.key_env == "ANTHROPIC_API_KEY"
    assert sonnet.price.model == "openai/gpt-4.1"
    assert sonnet.description == "a strong all-rounder"

    local = pool["local"]
    assert (local.role, local.base_url, local.key_env) == (
        "self",
        "http://127.0.0.1:8000/v1",
        None,
    )
    assert local.sampling.as_dict() == {"temperature": 0.7, "top_p": 1.0, "stop": ("</answer>",)}
    assert (local.timeout_s, local.max_attempts, local.max_concurrency) == (30, 2, 8)
    assert (local.usage, local.send_seed) == ("estimate", True)
    assert local.options == {
        "body": {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 20}
    }
    assert local.price.figures() == {
        "input_usd_per_mtok": "0.04",
        "output_usd_per_mtok": "0.1",
        "cached_input_usd_per_mtok": "0",
    }
    assert (local.price.effective_from, local.price.source) == (DAY, "our GPU bill")
    assert not local.price.from_library


def test_every_setting_of_an_expert_can_be_given_in_a_file() -> None:
    """A field that is added to the contract must not be forgotten here."""
    # A tariff is of servers that choose their models; a pool's experts have one price. A shared
    # pool is shared as a whole.
    given = set(ExpertTable.model_fields) | {"name", "sampling", "tariff", "shared"}
    assert {field.name for field in fields(ExpertSpec)} <= given


def test_no_amount_passes_through_a_float(tmp_path: Path) -> None:
    text = O3 + PRICE.replace('"1"', "0.1234567891")
    price = load_pool(write(tmp_path, text))["o3"].price
    assert price.input_usd_per_mtok == Decimal("0.1234567891")


def test_settings_that_are_not_money_are_floats_as_toml_gives_them(tmp_path: Path) -> None:
    text = O3 + "temperature = 0.35\nsimulation = {p = [0.1, 0.25], n = 3}\n"
    expert = load_pool(write(tmp_path, "[simulation]\nseed = 7\nq = 0.5\n" + text))["o3"]
    assert type(expert.sampling.temperature) is float
    assert repr(expert.options) == "{'simulation': {'p': [0.1, 0.25], 'n': 3}}"


def test_a_price_date_given_goes_before_the_one_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "price_date = 2025-06-09\n" + O3)
    assert load_pool(path)["o3"].price.output_usd_per_mtok == Decimal(40)
    pool = load_pool(path, price_date=date(2025, 6, 10))
    assert pool["o3"].price.output_usd_per_mtok == Decimal(8)
    assert pool.price_date == date(2025, 6, 10)


def test_without_any_price_date_today_counts(tmp_path: Path) -> None:
    before = date.today()
    pool = load_pool(write(tmp_path, O3))
    assert pool.price_date is not None
    assert before <= pool.price_date <= date.today()


def test_the_name_of_the_file_is_the_name_of_the_pool(tmp_path: Path) -> None:
    assert load_pool(write(tmp_path, O3, "cheap.toml")).name == "cheap"


@pytest.mark.parametrize("name", sorted(builtin_pools()))
def test_built_in_pools_load_and_do_not_change_by_themselves(name: str) -> None:
    pool = load_pool(name)
    assert pool.name == name
    # Their own price date keeps the digest, and so stored runs, the same tomorrow.
    assert load_pool(name).digest == load_pool(name, price_date=pool.price_date).digest
    assert "price_date" in builtin_pools()[name].read_text(encoding="utf-8")


def test_the_simulated_pool_is_built_in() -> None:
    pool = load_pool("sim")
    assert pool.simulated
    assert len([expert for expert in pool.experts if expert.role == "expert"]) >= 4


GPUS = (
    'price = { usd_per_gpu_hour = "1.80", gpus = 2, input_tokens_per_s = 40000,'
    ' output_tokens_per_s = "10000", effective_from = 2026-11-01, source = "s" }\n'
)


def test_a_price_by_the_gpu_hour_is_one_by_the_token(tmp_path: Path) -> None:
    price = load_pool(write(tmp_path, O3 + GPUS))["o3"].price
    assert price.figures() == {"input_usd_per_mtok": "0.025", "output_usd_per_mtok": "0.1"}
    assert price.source == (
        "s (2 × $1.8 a GPU hour at 40000 input and 10000 output tokens a second)"
    )
    assert price.row_id == "openai/o3@2026-11-01"
    # Where tokens are so cheap that a price has no digit left, it is the smallest that there is.
    cheap = GPUS.replace('"1.80"', '"0.0000000001"')
    smallest = load_pool(write(tmp_path, O3 + cheap))["o3"].price
    assert smallest.output_usd_per_mtok == Decimal("0.0000000001")


MISTAKES = [
    (
        O3 + GPUS.replace(" input_tokens_per_s = 40000,", ""),
        "pool.toml: experts.o3.price.input_tokens_per_s: missing: a price by the GPU hour needs"
        " what was measured (corl-bench pool measure)",
    ),
    (O3 + GPUS.replace("40000", "0"), "price.input_tokens_per_s: input should be greater than 0"),
    (O3 + GPUS.replace("= 2,", "= 0,"), "price.gpus: input should be greater than or equal to 1"),
    (O3 + GPUS.replace("gpus = 2", "gpu = 2"), "price.gpu: unknown key (did you mean gpus?)"),
    (
        O3 + GPUS.replace("gpus = 2", "output_usd_per_mtok = 2"),
        "pool.toml: experts.o3.price.output_usd_per_mtok: a price is by the token or by the GPU"
        " hour, not both: take out output_usd_per_mtok, or input_tokens_per_s,"
        " output_tokens_per_s, usd_per_gpu_hour",
    ),
    (
        O3 + GPUS.replace("40000", '"inf"'),
        "price.input_tokens_per_s: write tokens a second in digits: 5000",
    ),
    (O3 + GPUS.replace(', source = "s"', ""), "pool.toml: experts.o3.price.source: missing"),
    ("", "pool.toml: experts: missing"),
    ("[experts]\n", "pool.toml: experts: a pool has at least one expert"),
    ("budget = 3\n" + O3, "pool.toml: budget: unknown key (did you mean budgets?)"),
    (O3 + 'modle = "x"\n', "pool.toml: experts.o3.modle: unknown key (did you mean model?)"),
    (O3 + 'api_key = "s"\n', "pool.toml: experts.o3.api_key: unknown key (did you mean key_env?)"),
    ('[experts.o3]\nmodel = "o3"\n', "pool.toml: experts.o3.provider: missing"),
    (O3 + "max_output_tokens = 0\n", "pool.toml: experts.o3.max_output_tokens: input should be"),
    (O3 + "temperature = nan\n", "pool.toml: experts.o3.temperature: input should be a finite"),
    (O3 + "top_p = 1.5\n", "pool.toml: experts.o3.top_p: input should be less than"),
    (O3 + 'role = "boss"\n', "pool.toml: experts.o3.role: input should be 'expert' or 'self'"),
    (O3 + "send_seed = 1\n", "pool.toml: experts.o3.send_seed: input should be a valid boolean"),
    ('[experts."a,b"]\n', "pool.toml: experts.a,b: a name is made of letters"),
    ('[experts."a>b"]\nprovider="openai"\n', "pool.toml: experts.a>b: a name is made of letters"),
    ('[experts."a b"]\nprovider="openai"\n', "pool.toml: experts.a b: a name is made of letters"),
    ('[budgets]\n"a=b" = "1"\n' + O3, "pool.toml: budgets.a=b: a name is made of letters"),
    ('[budgets]\nlow = "1e-4"\n' + O3, "pool.toml: budgets.low: amount '1e-4' is no plain"),
    ("[budgets]\nlow = -1\n" + O3, "pool.toml: budgets.low: amount '-1' is no plain amount"),
    ('price_date = "soon"\n' + O3, "pool.toml: price_date: write a day: 2026-01-31"),
    (O3 + "price = 5\n", "pool.toml: experts.o3.price: write an id of the price library"),
    (
        O3 + PRICE.replace('"1"', "-1"),
        "pool.toml: experts.o3.price.input_usd_per_mtok: amount '-1'",
    ),
    (O3 + PRICE.replace('"1"', "nan"), "pool.toml: experts.o3.price.input_usd_per_mtok: write"),
    (O3 + PRICE.replace('"1"', "true"), "pool.toml: experts.o3.price.input_usd_per_mtok: write"),
    (O3 + PRICE.replace('"1"', "1e-11"), "pool.toml: experts.o3.price.input_usd_per_mtok: amount"),
    (O3 + PRICE.replace('"s"', '""'), "pool.toml: experts.o3.price.source: string should have"),
    (O3 + PRICE.replace(', source = "s"', ""), "pool.toml: experts.o3.price.source: missing"),
    (O3 + PRICE.replace("output_usd_per_mtok", "output_usd"), "price.output_usd: unknown key (did"),
    (O3 + PRICE.replace("2026-01-01", "2026-01-01T00:00:00"), "price.effective_from: write a day"),
    (O3 + 'base_url = "ftp://h/v1"\n', "pool.toml: experts.o3: base_url must be an address"),
    (O3 + 'base_url = "localhost:80"\n', "pool.toml: experts.o3: base_url must be an address"),
    (
        O3 + 'base_url = "http://gpu.example/v1"\nkey_env = "K"\n',
        "pool.toml: experts.o3: base_url is plain http to gpu.example, so the key of K",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_is_named_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_pool(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        O3 + 'key_env = "sk-proj-secret"\n',
        O3 + 'key = "sk-proj-secret"\n',
        O3 + 'base_url = "https://user:sk-proj-secret@host/v1"\n',
        O3 + 'key_env = ["sk-proj-secret"]\n',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_pool(write(tmp_path, text))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_keys_may_travel_unencrypted_within_the_machine(host: str, tmp_path: Path) -> None:
    text = O3 + f'base_url = "http://{host}:8000/v1"\nkey_env = "LOCAL_KEY"\n'
    assert load_pool(write(tmp_path, text))["o3"].key_env == "LOCAL_KEY"


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pool\.toml:2: Invalid value$"):
        load_pool(write(tmp_path, "[experts.o3]\nprovider = \n"))
    with pytest.raises(ConfigError, match=r"pool\.toml: Unterminated"):
        load_pool(write(tmp_path, 'name = """x'))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_pool(str(path))


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert load_pool(write(tmp_path, "\ufeff" + O3))["o3"].model == "o3"


@pytest.mark.parametrize("name", ["smi", "nope.toml", ".", ""])
def test_a_pool_that_does_not_exist_is_answered_with_those_that_do(name: str) -> None:
    with pytest.raises(ConfigError, match=r"neither a file nor built in \(built in: .*sim"):
        load_pool(name)


def test_an_unpriced_model_is_an_error_where_it_stands(tmp_path: Path) -> None:
    text = '[experts.foo]\nprovider = "openai"\nmodel = "gpt-4.11"\n'
    with pytest.raises(UnpricedModelError, match=r"pool\.toml: experts\.foo\.price: no price for"):
        load_pool(write(tmp_path, text))


def test_a_price_date_before_the_first_price_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorlError, match=r"experts\.o3\.price: openai/o3 has no price on 2024-01"):
        load_pool(write(tmp_path, O3), price_date=date(2024, 1, 1))


def test_the_digest_covers_what_shapes_replies_and_prices(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        return load_pool(write(tmp_path, text), price_date=DAY).digest

    base = digest(O3)
    changed = [
        O3 + 'model = "o4-mini"\n',
        O3 + "temperature = 0.5\n",
        O3 + 'description = "strong"\n',
        O3 + 'role = "self"\n',
        O3 + "send_seed = true\n",
        O3 + 'usage = "estimate"\n',
        O3 + 'price = "openai/o4-mini"\n',
        O3 + "simulation = {p = 0.5}\n",
        O3 + "options = {answers_as = 'x'}\n",
        O3 + '[experts.nano]\nprovider = "openai"\nmodel = "gpt-4.1-nano"\n',
        "[simulation]\nseed = 1\n" + O3,
        O3.replace("experts.o3", "experts.other") + 'model = "o3"\n',
    ]
    digests = [digest(text) for text in changed]
    assert base not in digests
    assert len(set(digests)) == len(changed)

    same = [
        O3 + 'base_url = "https://gateway.example/v1"\nkey_env = "OTHER"\n',
        O3 + "timeout_s = 5\nmax_attempts = 1\nmax_concurrency = 2\n",
        'name = "other"\n[budgets]\nlow = "1"\n' + O3,
        O3 + 'model = "o3"\nprice = "openai/o3-2025-04-16"\n',
    ]
    assert {digest(text) for text in same} == {base}


def test_the_digest_follows_the_price_and_not_the_day(tmp_path: Path) -> None:
    path = write(tmp_path, O3)
    dear, cheap, later = (
        load_pool(path, price_date=day)
        for day in (date(2025, 6, 9), date(2025, 6, 10), date(2026, 11, 1))
    )
    assert dear.digest != cheap.digest == later.digest
    assert pool_digest(later) == later.digest


def test_the_examples_of_the_documentation_load(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "pools.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(examples) >= 5
    for example in examples:
        pool = load_pool(write(tmp_path, example))
        if pool.simulated:
            read_simulation(pool)


def test_the_documentation_names_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs" / "pools.md").read_text(encoding="utf-8")
    for schema in (PoolTable, ExpertTable, GpuPriceTable, PriceTable, SharedTable):
        for key in schema.model_fields:
            assert re.search(rf"`\[?{key}\b", text), key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[experts.a]\nprovider = "opnai"\nmodel = "gpt-4.1"', "did you mean 'openai'?"),
        ("", r"\[experts\.NAME\]"),
        ("experts = 3", r"\[experts\.NAME\]"),
        ("[experts]\na = 3", r"write a table: \[experts\.a\]"),
        ('budgets = "low"', r"write a table: \[budgets\]"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_pool(str(path))
    assert "\n" not in str(caught.value)
