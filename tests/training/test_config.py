"""Recipes: what they may say, and what they are told otherwise, each in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_train.config import load_recipe, parse_config
from corl_train.recipe_file import recipes, to_toml


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["policy.width=66"], "policy: width is a multiple of twice the heads, 8"),
        (["policy.width=20"], "policy: width is a multiple"),
        (["policy.heads=3"], "policy: width is a multiple of twice the heads, 6"),
        (
            ["training.estimator=grpo", "training.samples=1"],
            "training: estimator grpo .* samples above 1",
        ),
        (["training.estimator=grpo", "training.samples=11"], "1024 episodes .* multiple of 11"),
        (["policy.width=-1"], "policy.width: input should be"),
        (["policy.path=x"], "policy.path: unknown key"),
        (["policy.kind=large"], 'policy: kind is "tiny" or "huggingface"'),
        (["reward.alpha=0.1"], "reward.alpha: unknown key"),
        (["reward.kind=soft", "reward.most=2"], "reward.most: input should be"),
        (["warm_start.counsel_weight=0", "warm_start.rehearsals=1"], "set counsel_weight, too"),
        (["reward.kind=none"], 'reward: kind is "gate", "soft", "linear", "percentile" or "mean"'),
        (["reward.kind=mean"], "reward mean .* set warm_start.plays=plan"),
        (["warm_start.plays=plan"], "budgets on average: set data.spend=mean"),
        (["warm_start.plays=plan", "warm_start.epochs=0"], "taught in whole episodes: set 1"),
        (
            [
                *("warm_start.plays=plan", "data.spend=mean", "policy.kind=huggingface"),
                *("policy.path=x", "policy.usd_per_mtok=1"),
            ],
            "a language model reads: set warm_start.drawn_share=0",
        ),
        (
            [
                *("warm_start.optimiser=muon", "policy.kind=huggingface"),
                *("policy.path=x", "policy.usd_per_mtok=1"),
            ],
            "begin from nothing: set warm_start.optimiser=adamw",
        ),
        (["data.words=1"], "data.words: unknown key"),
        (["reward=1"], "write TABLE.KEY=VALUE"),
        (["training.iterations=" + 5_000 * "["], "training.iterations: input should be"),
    ],
)
def test_what_no_recipe_may_say(settings: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        load_recipe("quickstart", settings=settings)
    assert "\n" not in str(refused.value)


def test_groups_that_can_be_compared_are_taken() -> None:
    for samples in (2, 8, 5):  # the last group of five has two
        settings = ["training.estimator=grpo", f"training.samples={samples}"]
        assert load_recipe("quickstart", settings=settings).training.samples == samples


@pytest.mark.parametrize("text", ["0.002", "0.0000002", "2e-7", '"0.002"'])
def test_a_price_is_taken_as_it_was_written(text: str) -> None:
    config = load_recipe("quickstart", settings=[f"policy.usd_per_mtok={text}"])
    assert config.policy.usd_per_mtok == text.strip('"')


def test_budgets_are_amounts_or_none() -> None:
    for text, budgets in (("0.0030", "0.0030"), ("low=0.001", "low=0.001"), ("null", None)):
        assert load_recipe("quickstart", settings=[f"data.budgets={text}"]).data.budgets == budgets


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("gate", {"fines"}),
        ("soft", {"per_usd", "most"}),
        ("linear", {"weight", "scale_usd"}),
        ("percentile", {"alpha"}),
        ("mean", {"most"}),
    ],
)
def test_a_reward_is_its_kind_with_its_own_settings(kind: str, keys: set[str]) -> None:
    recipe = "recorded" if kind == "mean" else "quickstart"
    reward = load_recipe(recipe, settings=[f"reward.kind={kind}"]).reward
    assert set(reward.model_dump()) == {"kind", *keys}
    assert reward.kind == kind


def test_another_kind_takes_no_setting_of_the_recipes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[reward]\nfines = [0.5]\n")
    assert load_recipe(str(path)).reward.model_dump() == {"kind": "gate", "fines": (0.5,)}
    soft = load_recipe(str(path), settings=["reward.most=0.7", "reward.kind=soft"]).reward
    assert soft.model_dump() == {"kind": "soft", "per_usd": 50.0, "most": 0.7}
    path.write_text('[reward]\nkind = "soft"\nmost = 0.8\n')
    same = load_recipe(str(path), settings=["reward.kind=soft"]).reward
    assert same.model_dump() == {"kind": "soft", "per_usd": 50.0, "most": 0.8}


@pytest.mark.parametrize("name", recipes("embedded"))
def test_a_recipe_that_is_written_out_is_the_same(name: str) -> None:
    config = load_recipe(name, settings=["reward.kind=linear", "reward.weight=0.7"])
    again = {"name": name, **tomllib.loads(to_toml(config))}
    assert parse_config(again, "it") == config
