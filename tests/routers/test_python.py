from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.routers.batches import MAX_BATCH, Batches
from corl_bench.routers.decisions import Choice, Deciding, DecisionError, Question
from corl_bench.routers.learning import Learning, trained_part
from corl_bench.routers.python import make_router
from corl_bench.routers.registry import code_digest, parse_systems
from corl_bench.types import Budget

LOW = Budget("low", Decimal("0.01"))


def router(found: Any, pool: Pool, **options: str) -> Any:
    return make_router(found, "python:mine:it", pool, options)


class Decides:
    def decide(self, prompt: str, experts: Sequence[ExpertInfo]) -> str:
        return experts[-1].name


class DecidesTogether:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def decide_batch(self, prompts: list[str], experts: Sequence[ExpertInfo]) -> list[str]:
        self.sizes.append(len(prompts))
        return [experts[0].name] * len(prompts)


async def waits(prompt: str, experts: Sequence[ExpertInfo], budget: Budget | None) -> str:
    await asyncio.sleep(0)
    return "dear" if budget else "cheap"


class TestWhatIsRecognised:
    async def test_a_function_decides(self, pool: Pool, episode_with: Callable[..., Any]) -> None:
        system = router(lambda prompt: "middle", pool)
        episode, provider = episode_with({"middle": ["It is 42."]})
        assert await system.solve("What is 6 × 7?", None, episode) == "It is 42."
        assert provider.asked == ["middle"]
        assert provider.requests[0].messages == episode.prompt

    async def test_a_class_is_made_and_sees_experts_from_cheap_to_dear(
        self, pool: Pool, episode_with: Callable[..., Any]
    ) -> None:
        episode, provider = episode_with({"dear": ["x"]})
        await router(Decides, pool).solve("?", None, episode)
        assert provider.asked == ["dear"]

    async def test_an_async_function_is_awaited_and_told_the_budget(
        self, pool: Pool, episode_with: Callable[..., Any]
    ) -> None:
        system = router(waits, pool)
        assert system.reads_budget
        episode, provider = episode_with({"dear": ["x"], "cheap": ["y"]})
        await system.solve("?", LOW, episode)
        await system.solve("?", None, episode)
        assert provider.asked == ["dear", "cheap"]

    async def test_questions_that_wait_together_are_asked_together(
        self, pool: Pool, episode_with: Callable[..., Any]
    ) -> None:
        made = DecidesTogether()
        system = router(made, pool)
        episodes = [episode_with({"cheap": ["x"]})[0] for _ in range(5)]
        await asyncio.gather(*(system.solve(f"{n}?", None, e) for n, e in enumerate(episodes)))
        assert sum(made.sizes) == 5
        assert max(made.sizes) > 1

    def test_a_function_without_arguments_makes_the_router(self, pool: Pool) -> None:
        assert isinstance(router(lambda: Decides(), pool), Deciding)

    def test_methods_get_what_they_need_and_keep_their_own_defaults(
        self, pool: Pool, episode_with: Callable[..., Any]
    ) -> None:
        def with_default(prompt: str, threshold: float = 0.5) -> str:
            assert threshold == 0.5
            return "cheap"

        def asking(prompt: str, experts: Any = None, budget: Any = None) -> str:
            assert experts
            return "cheap"

        for function in (with_default, asking):
            episode, provider = episode_with({"cheap": ["x"]})
            asyncio.run(router(function, pool).solve("?", None, episode))
            assert provider.asked == ["cheap"]
        assert router(asking, pool).reads_budget
        assert not router(with_default, pool).reads_budget

    def test_a_learner_is_one_that_must_be_trained(self, pool: Pool) -> None:
        class Learns(Decides):
            def learn(self, prompt: str) -> None: ...

        assert isinstance(trained_part(router(Learns, pool)), Learning)
        assert trained_part(router(Decides, pool)) is None

    def test_what_scores_needs_a_threshold(self, pool: Pool) -> None:
        class Scores:
            def score(self, prompt: str) -> float:
                return 0.5

        with pytest.raises(ConfigError, match=r"@threshold=T, or @share=P"):
            router(Scores, pool)
        assert trained_part(router(Scores, pool, threshold="0.4")) is None
        assert trained_part(router(Scores, pool, share="0.4")) is not None

    async def test_a_function_scores_where_its_options_say_so(
        self, pool: Pool, episode_with: Callable[..., Any]
    ) -> None:
        system = router(lambda prompt: len(prompt) / 10, pool, threshold="0.3", strong="middle")
        for question, expert in (("12", "cheap"), ("123", "middle")):
            episode, provider = episode_with({"cheap": ["x"], "middle": ["y"]})
            await system.solve(question, None, episode)
            assert provider.asked == [expert]

    def test_a_declared_name_and_the_options_make_the_name(self, pool: Pool) -> None:
        class Named(Decides):
            name = "mine"

            def score(self, prompt: str) -> float:
                return 0.5

        assert router(Named, pool).name == "mine"
        assert router(Named, pool, share="0.2").name == "mine@share=0.2"
        assert router(Named, pool, name="his").name == "his"
        assert router(Decides, pool).name == "python:mine:it"


class TestFaults:
    @pytest.mark.parametrize(
        ("answer", "line"),
        [
            ("cheep", "the router chose 'cheep', which is no expert; did you mean 'cheap'?"),
            (None, "the router's decision names no expert: None"),
            (b"cheap", "names no expert: b'cheap'"),
            (Choice("own"), "the router chose 'own', which is no expert"),
            ("x" * 10_000, "xxx…, which is no expert"),
        ],
    )
    async def test_nonsense_is_one_line(
        self, pool: Pool, episode_with: Callable[..., Any], answer: Any, line: str, own_model: Any
    ) -> None:
        episode, provider = episode_with({}, brought=(own_model,))
        with pytest.raises(DecisionError) as caught:
            await router(lambda prompt: answer, pool).solve("?", None, episode)
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
        assert not provider.asked

    @pytest.mark.parametrize("error", [ValueError("a\nb"), SystemExit(3), StopIteration(1)])
    async def test_whatever_it_raises_is_one_line(
        self, pool: Pool, episode_with: Callable[..., Any], error: BaseException
    ) -> None:
        def fails(prompt: str) -> str:
            raise error

        async def fails_later(prompt: str) -> str:
            await asyncio.sleep(0)
            raise error

        class FailsTogether:
            def decide_batch(self, prompts: list[str]) -> list[str]:
                raise error

        for function in (fails, fails_later, FailsTogether):
            episode, _ = episode_with({})
            with pytest.raises(DecisionError, match="the router failed") as caught:
                await asyncio.wait_for(router(function, pool).solve("?", None, episode), 10)
            assert "\n" not in str(caught.value)

    async def test_a_batch_of_another_size_is_refused(
        self, pool: Pool, episode_with: Callable[..., Any]
    ) -> None:
        class Short:
            def decide_batch(self, prompts: list[str]) -> list[str]:
                return []

        episode, _ = episode_with({})
        with pytest.raises(DecisionError, match="gave 0 answers to 1 questions"):
            await router(Short, pool).solve("?", None, episode)

    @pytest.mark.parametrize("score", [float("nan"), float("inf"), None, True, "0.5", [1], 10**400])
    async def test_a_score_that_is_no_number_is_refused(
        self, pool: Pool, episode_with: Callable[..., Any], score: Any
    ) -> None:
        episode, _ = episode_with({})
        with pytest.raises(DecisionError, match="no finite number"):
            await router(lambda prompt: score, pool, threshold="0").solve("?", None, episode)

    def test_what_cannot_be_asked_is_refused_before_the_run(self, pool: Pool) -> None:
        with pytest.raises(ConfigError, match="needs more than it is offered"):
            router(lambda a, b, c, d: "cheap", pool)
        with pytest.raises(ConfigError, match="is no routing system"):
            router(object(), pool)
        with pytest.raises(ConfigError, match="it has no score"):
            router(Decides, pool, threshold="0.1")

    async def test_code_that_is_not_async_never_meets_itself(
        self, pool: Pool, episode_with: Callable[..., Any]
    ) -> None:
        threads: set[int] = set()

        class Counts:
            def __init__(self) -> None:
                threads.add(threading.get_ident())

            def decide(self, prompt: str) -> str:
                threads.add(threading.get_ident())
                return "cheap"

        system = router(Counts, pool)
        episodes = [episode_with({"cheap": ["x"]})[0] for _ in range(4)]
        await asyncio.gather(*(system.solve("?", None, episode) for episode in episodes))
        assert len(threads) == 1
        assert threading.get_ident() not in threads


async def test_fees_are_booked_with_the_episode(
    pool: Pool, episode_with: Callable[..., Any]
) -> None:
    episode, _ = episode_with({"cheap": ["x"]})
    await router(lambda prompt: "cheap", pool, fee="0.002").solve("?", None, episode)
    said = router(lambda prompt: Choice("cheap", "why", Decimal("0.003")), pool)
    other, _ = episode_with({"cheap": ["x"]})
    await said.solve("?", None, other)
    assert [(c.list_cost_usd, c.basis) for c in episode.charges] == [(Decimal("0.002"), "stated")]
    assert [(c.list_cost_usd, c.basis) for c in other.charges] == [
        (Decimal("0.003"), "self_reported")
    ]
    assert other.events == ("why",)


def test_a_router_that_was_edited_or_has_other_options_is_another_one(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "edited_router.py"
    module.write_text("def route(prompt):\n    return 'cheap'\n")
    monkeypatch.syspath_prepend(tmp_path)

    def digest(text: str) -> str | None:
        (system,) = parse_systems([text], pool)
        return code_digest(system)

    plain = digest("python:edited_router:route")
    assert plain == digest("python:edited_router:route")
    assert plain == digest("python:edited_router:route@name=other")
    assert plain != digest("python:edited_router:route@fee=0.1")
    module.write_text("def route(prompt):\n    return 'dear'\n")
    assert plain != digest("python:edited_router:route")


@pytest.mark.parametrize(
    "code",
    [
        "import functools\nfrom their_router import pick\nroute = functools.partial(pick, size=1)",
        "import functools\nfrom their_router import pick\n"
        "route = functools.lru_cache(lambda prompt: pick(prompt, size=1))",
        "from their_router import Whole\nroute = Whole(size=1)",
        "from corl_bench.routers.decisions import Deciding\nfrom their_router import Decider\n"
        "route = Deciding('framed', Decider(size=1))",
    ],
)
def test_what_a_router_is_made_with_is_part_of_it_wherever_its_class_stands(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    (tmp_path / "their_router.py").write_text(
        "class Decider:\n"
        "    def __init__(self, size):\n        self.size = size\n"
        "    async def decide(self, question):\n        ...\n"
        "class Whole:\n"
        "    name, reads_budget, is_oracle = 'whole', False, False\n"
        "    def __init__(self, size):\n        self.size = size\n"
        "    async def solve(self, problem, budget, episode):\n        ...\n"
        "def pick(prompt, size):\n    return 'cheap'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def digest(text: str) -> str | None:
        (tmp_path / "makes_router.py").write_text(text + "\n")
        sys.modules.pop("makes_router", None)
        importlib.invalidate_caches()
        (system,) = parse_systems(["python:makes_router:route"], pool)
        return code_digest(system)

    plain = digest(code)
    assert plain is not None
    assert plain == digest(code)
    assert plain != digest(f"{code}  # edited, so of another size")


def test_a_module_that_leaves_when_it_is_loaded_is_one_line(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving_router.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="cannot be loaded: SystemExit"):
        parse_systems(["python:leaving_router:route"], pool)


async def test_questions_that_wait_are_not_held_against_each_other(pool: Pool) -> None:
    """Thousands of training rows wait at a time."""

    class Unequal(Question):
        def __eq__(self, other: object) -> bool:
            raise AssertionError("two questions were compared")

    async def lengths(questions: list[Question]) -> list[int]:
        return [len(question.text) for question in questions]

    batches = Batches(lengths)
    asked = [Unequal("x" * size, (), LOW) for size in range(3 * MAX_BATCH)]
    assert await asyncio.gather(*map(batches.answer, asked)) == list(range(3 * MAX_BATCH))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("python:edited:route@shar=0.1", "did you mean 'share'?"),
        ("python:edited:route@share=0.1,share=0.2", "twice"),
        ("python:edited:route@share=2", "is not a share from 0 to 1"),
        ("python:edited:route@threshold=nan", "is not a finite number"),
        ("python:edited:route@threshold=0.5,strong=deer", "did you mean 'dear'?"),
        ("python:edited:route@threshold=0.5,strong=cheap", "both the weak and the strong"),
        ("python:edited:route@threshold=0.5,share=0.5", "it takes @threshold=T, or @share=P"),
        ("python:edited:route@fee=-1", "no plain amount"),
    ],
)
def test_options_that_cannot_be_read_are_one_line(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: str
) -> None:
    (tmp_path / "edited.py").write_text("def route(prompt):\n    return 'cheap'\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as caught:
        parse_systems([text], pool)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
