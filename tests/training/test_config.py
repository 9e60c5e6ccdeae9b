"""Recipes: what they may say, and what they are told otherwise, each in one line."""

from __future__ import annotations

import tomllib

import pytest

from corl_bench.errors import ConfigError
from corl_train.config import load_recipe, parse_config, recipes, to_toml


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
        (["reward.kind=none"], 'reward: kind is "gate", "soft", "linear", "percentile" or "mean"'),
        (["reward.kind=mean"], "reward mean .* set warm_start.plays=plan"),
        (["warm_start.plays=plan"], "budgets on average: set data.spend=mean"),
        (["data.words=1"], "data.words: unknown key"),
        (["reward=1"], "write TABLE.KEY=VALUE"),
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
        ("gate", {"fine"}),
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


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_that_is_written_out_is_the_same(name: str) -> None:
    config = load_recipe(name, settings=["reward.kind=linear", "reward.weight=0.7"])
    again = {"name": name, **tomllib.loads(to_toml(config))}
    assert parse_config(again, "it") == config
