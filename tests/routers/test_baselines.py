from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool, ProviderError
from corl_bench.routers.registry import baselines, parse_systems

FORTY_TWO, FORTY_THREE = r"So \boxed{42}.", r"Hence \boxed{43}."
NOTHING = "There are too many cases here for me to look at every one of them, sorry."


def system(text: str, pool: Pool) -> Any:
    (made,) = parse_systems([text], pool)
    return made


async def test_the_cascade_stops_at_two_that_agree_and_answers_with_the_cheaper(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    episode, provider = episode_with(
        {"cheap": [FORTY_TWO], "middle": [r"It is \boxed{42.0}"], "dear": [FORTY_THREE]}
    )
    assert await system("cascade:middle>cheap>dear", pool).solve("", None, episode) == FORTY_TWO
    assert provider.asked == ["middle", "cheap"]


async def test_the_cascade_goes_on_past_a_reply_without_an_answer(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    episode, provider = episode_with(
        {"cheap": [NOTHING], "middle": [FORTY_TWO], "dear": [FORTY_TWO]}
    )
    assert await system("cascade:cheap>middle>dear", pool).solve("", None, episode) == FORTY_TWO
    assert provider.asked == ["cheap", "middle", "dear"]


async def test_where_all_differ_the_cheapest_that_answered_decides(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    episode, _ = episode_with({"cheap": [NOTHING], "middle": [FORTY_THREE], "dear": [FORTY_TWO]})
    assert await system("cascade:dear>middle>cheap", pool).solve("", None, episode) == FORTY_THREE


async def test_the_vote_asks_everyone_at_once_and_follows_the_majority(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    episode, provider = episode_with(
        {"cheap": [FORTY_THREE], "middle": [FORTY_TWO], "dear": [r"\boxed{\frac{84}{2}}"]}
    )
    assert await system("vote:cheap,middle,dear", pool).solve("", None, episode) == FORTY_TWO
    assert sorted(provider.asked) == ["cheap", "dear", "middle"]
    assert episode.latency_s == 1.0
    assert len(episode.calls) == 3


async def test_a_voter_that_fails_has_no_vote_and_its_failure_is_on_record(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    down = ProviderError("bad_request", "no such model")
    episode, _ = episode_with({"cheap": [down], "middle": [FORTY_THREE], "dear": [FORTY_TWO]})
    assert await system("vote:cheap,middle,dear", pool).solve("", None, episode) == FORTY_THREE
    assert [call.status for call in episode.calls] == ["bad_request", "ok", "ok"]
    assert episode.calls[0].list_cost_usd == 0


async def test_the_same_expert_may_vote_twice_with_fresh_draws(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    episode, provider = episode_with({"cheap": [FORTY_TWO, FORTY_THREE], "dear": [FORTY_THREE]})
    assert await system("vote:cheap,cheap,dear", pool).solve("", None, episode) == FORTY_THREE
    assert Counter(provider.asked) == {"cheap": 2, "dear": 1}


@pytest.mark.parametrize("text", ["cascade:cheap>cheap>dear", "vote:cheap,cheap,dear"])
def test_an_expert_that_is_named_twice_is_counted_twice(pool: Pool, text: str) -> None:
    counts = system(text, pool).call_counts()
    assert counts["cheap"] == (2, 2.0, 2)
    assert sum(most for _, _, most in counts.values()) == 3


async def test_the_oracle_bills_the_cheapest_that_is_right(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    answers = {"cheap": [FORTY_THREE], "middle": [FORTY_TWO], "dear": [FORTY_TWO]}
    asking, _ = episode_with(answers, mode="auto")
    for expert in answers:
        await asking.call(expert)
    episode, provider = episode_with({}, oracle=True, mode="auto")
    assert await system("oracle", pool).solve("", None, episode) == FORTY_TWO
    assert [call.expert for call in episode.calls] == ["middle"]
    assert provider.asked == []


async def test_the_oracle_says_what_it_misses(pool: Pool, episode_with: Callable[..., Any]) -> None:
    episode, _ = episode_with({}, oracle=True, mode="auto")
    with pytest.raises(ConfigError, match=r"single:\*"):
        await system("oracle", pool).solve("", None, episode)


async def test_only_a_declared_oracle_sees_golds(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    episode, _ = episode_with({})
    with pytest.raises(ConfigError, match="is_oracle"):
        episode.stored_reply("cheap")
    with pytest.raises(ConfigError, match="is_oracle"):
        await episode.verdict_on("42")
    visible = [name for name in dir(episode) if not name.startswith("_")]
    for name in visible:
        assert "What is" not in repr(getattr(episode, name)) or name == "prompt"


async def test_the_coin_lands_as_often_as_it_says(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    mixture = system("mix:cheap,dear@0.3", pool)
    landed: Counter[str] = Counter()
    for _ in range(400):
        episode, provider = episode_with({"cheap": [FORTY_TWO], "dear": [FORTY_TWO]})
        await mixture.solve("", None, episode)
        landed.update(provider.asked)
    assert 85 <= landed["dear"] <= 155  # 120 ± 3.8 standard deviations


async def test_an_unknown_expert_is_named(pool: Pool, episode_with: Callable[..., Any]) -> None:
    episode, _ = episode_with({})
    with pytest.raises(ConfigError, match="it has cheap, middle, dear"):
        await episode.call("nosuch")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nosuch", "unknown routing system"),
        ("singel:cheap", "did you mean 'single'"),
        ("single:", "takes one expert"),
        ("single:chaep", "did you mean 'cheap'"),
        ("mix:cheap", "takes 2 experts"),
        ("mix:cheap,dear@1.5", "no probability"),
        ("mix:cheap,dear@x", "no probability"),
        ("vote:cheap", "at least 2"),
        ("cascade:cheap,dear", "at least 2"),
        ("oracle:cheap", "takes nothing"),
        ("python:nosuchmodule:x", "cannot be loaded"),
        ("python:json", "python:module:attribute"),
        ("python:zipfile:ZipFile", "cannot be made"),
        ("python:collections:Counter", "no routing system"),
    ],
)
def test_a_system_that_cannot_be_read_is_one_line(pool: Pool, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_systems([text], pool)
    assert "\n" not in str(caught.value)


def test_every_baseline_of_a_pool_can_be_read_and_has_a_name_of_its_own(pool: Pool) -> None:
    texts = baselines(pool)
    assert [made.name for made in parse_systems(texts, pool)] == texts
    assert texts == [
        *("single:cheap", "single:middle", "single:dear", "random", "mix:cheap,dear@0.5"),
        *("cascade:cheap>middle>dear", "vote:cheap,middle,dear", "oracle"),
    ]
    # Live shares no replies, so there is nothing for an oracle to read.
    assert baselines(pool, "live") == texts[:-1]


def test_a_star_stands_for_each_expert_and_doubles_count_once(pool: Pool) -> None:
    made = parse_systems(["single:dear", "single:*"], pool)
    assert [s.name for s in made] == ["single:dear", "single:cheap", "single:middle"]
