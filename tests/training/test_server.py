"""A served controller: what it says over HTTP is what the policy says, and the bench can run it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import openai
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from corl_bench.cli.main import main
from corl_bench.serving import listening
from corl_train.policies.base import Speaking
from corl_train.policies.huggingface import HuggingFacePolicy
from corl_train.rollouts import Transcript
from corl_train.server import build_app


@pytest.fixture
def model(llama_folder: Path) -> HuggingFacePolicy:
    return HuggingFacePolicy.open(llama_folder, context=400)


@pytest.fixture
async def address(model: HuggingFacePolicy) -> AsyncIterator[str]:
    async with listening(build_app(model, model="llama")) as base_url:
        yield base_url


def said_in_process(model: HuggingFacePolicy, texts: list[str], how: Speaking, seed: int) -> str:
    transcript = Transcript()
    for place, text in enumerate(texts):
        role = ("user", "assistant")[place % 2]
        transcript.read(model.read(role, text, behind=transcript.ids))
    (said,) = model.session().speak([transcript], how, [seed])
    return said.text


async def test_many_at_once_are_answered_as_the_policy_would(
    model: HuggingFacePolicy, address: str
) -> None:
    conversations = [["What is the sum?"], ["Are you sure?", "17", "Well?"], ["x " * 20]]
    async with openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:
        listed = [entry.id async for entry in client.models.list()]
        assert listed == ["llama"]

        async def ask(n: int) -> tuple[str, int]:
            texts = conversations[n % 3]
            roles = ("user", "assistant", "user")
            completion = await client.chat.completions.create(
                model="llama",
                messages=[
                    {"role": role, "content": text}  # type: ignore[misc]
                    for role, text in zip(roles, texts, strict=False)
                ],
                max_tokens=8 + n % 2,
                temperature=1.0,
                seed=n,
            )
            assert completion.usage is not None
            assert completion.choices[0].finish_reason in ("stop", "length")
            return completion.choices[0].message.content or "", completion.usage.completion_tokens

        answers = await asyncio.gather(*map(ask, range(9)))
    for n, (text, tokens) in enumerate(answers):
        how = Speaking(8 + n % 2, (), 1.0)
        assert text == said_in_process(model, conversations[n % 3], how, n)
        assert 0 < tokens <= 8 + n % 2


async def test_a_reply_ends_in_front_of_its_stop_string(
    model: HuggingFacePolicy, address: str
) -> None:
    whole = said_in_process(model, ["What?"], Speaking(30, (), 0.0), 0)
    stop = whole[len(whole) // 2 : len(whole) // 2 + 2]
    body = {
        "model": "llama",
        "messages": [{"role": "user", "content": "What?"}],
        "max_tokens": 30,
        "temperature": 0,
        "stop": stop,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/chat/completions", json=body) as answer,
    ):
        (choice,) = (await answer.json())["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == whole[: whole.index(stop)]


async def test_what_it_cannot_answer_is_refused(address: str) -> None:
    ask = {"model": "llama", "messages": [{"role": "user", "content": "x"}]}
    cases = [
        ({**ask, "model": "other"}, 404, "no model 'other'"),
        ({**ask, "messages": []}, 400, "messages"),
        ({**ask, "messages": [{"role": "system", "content": "x"}]}, 400, "messages.0.role"),
        ({**ask, "stream": True}, 400, "stream"),
        ({**ask, "temperature": -1}, 400, "temperature"),
        ({**ask, "messages": [{"role": "user", "content": "ab" * 500}]}, 400, "no room"),
    ]
    async with aiohttp.ClientSession() as session:
        for body, status, words in cases:
            async with session.post(f"{address}/chat/completions", json=body) as answer:
                assert answer.status == status
                error = (await answer.json())["error"]
                assert words in error["message"]
        assert error["code"] == "context_length_exceeded"


async def test_the_bench_runs_it(address: str, tmp_path: Path) -> None:
    (tmp_path / "controller.toml").write_text(
        'protocol = "digest"\n[model]\nprovider = "openai"\nmodel = "llama"\n'
        f'base_url = "{address}"\n'
        'price = { input_usd_per_mtok = "0.002", output_usd_per_mtok = "0.002",'
        ' effective_from = 2025-01-01, source = "made up" }\n'
    )

    def bench() -> int:
        with pytest.raises(SystemExit) as left:
            main(
                ["run", "--task", "synth:test", "--pool", "sim", "--system",
                 f"controller:{tmp_path}", "--budget", "low=0.0005", "--limit", "2",
                 "--out", str(tmp_path / "results")]
            )  # fmt: skip
        return int(left.value.code or 0)

    assert await asyncio.to_thread(bench) == 0
    records = [json.loads(line) for line in (tmp_path / "results/episodes.jsonl").open()]
    assert len(records) == 2
    calls = [call for record in records for call in record["calls"]]
    assert calls and {call["role"] for call in calls} == {"self"}
    assert {call["status"] for call in calls} <= {"ok", "too_long"}
