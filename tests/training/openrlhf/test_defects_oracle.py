"""What is wrong in OpenRLHF 0.11.2's own rollouts and validations, shown in its own code.

A row of the table in docs/openrlhf-agent.md each, for which the agent is there instead. That ours
does better is in `test_agent_oracle.py`, with the defects that `corrections` mends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from training.openrlhf.engines import ScriptedEngine, wanted  # noqa: E402
from training.openrlhf.library import openrlhf  # noqa: E402

pytestmark = pytest.mark.openrlhf

MOST = 60


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    with openrlhf(
        tmp_path_factory.mktemp("stubs"),
        "trainer.ppo_trainer",
        "trainer.ppo_utils.experience",
        "trainer.ppo_utils.samples_generator",
        "utils.agent",
    ) as modules:
        yield modules


@pytest.fixture
def tokenizer(llama_folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(llama_folder)


def instance(theirs: SimpleNamespace, *, turns: int = 2, logs: Any = None) -> type[Any]:
    """An agent as OpenRLHF's users write them: it says "Go on." until its turns are over."""

    class Instance(theirs.agent.AgentInstanceBase):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.left = turns

        async def step(self, state: dict[str, Any], **given: Any) -> dict[str, Any]:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("the environment is broken")
            return {
                "rewards": torch.tensor(1.0),
                "environment_feedback": " Go on." if self.left else "",
                "done": not self.left,
                "extra_logs": logs or {"calls": 1.0},
            }

    return Instance


def execute(
    theirs: SimpleNamespace, agent: type[Any], tokenizer: Any, sampling: Any, *prompts: str
) -> tuple[list[dict[str, Any]], ScriptedEngine]:
    """Rollouts of its own executor, all with the same parameters."""
    engine = ScriptedEngine(tokenizer, lambda text: "hm")
    executor = theirs.agent.MultiTurnAgentExecutor(agent)

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(
            *(
                executor.execute(
                    prompt=prompt,
                    label="",
                    sampling_params=sampling,
                    max_length=MOST,
                    hf_tokenizer=tokenizer,
                    llm_engine=engine,
                )
                for prompt in prompts
            )
        )

    return asyncio.run(all_of_them()), engine


def test_its_executor_changes_the_parameters_that_samples_share(
    theirs: SimpleNamespace, tokenizer: Any
) -> None:
    sampling = wanted()
    execute(theirs, instance(theirs), tokenizer, sampling, "One.")
    assert wanted().max_tokens is None and sampling.max_tokens is not None


def test_its_turns_have_neither_stops_nor_a_cap(theirs: SimpleNamespace, tokenizer: Any) -> None:
    """With `--rollout.max_new_tokens 5`, which looks like one."""
    _, engine = execute(theirs, instance(theirs), tokenizer, wanted(max_tokens=5), "One.")
    assert len(engine.asked) == 2
    for ids, how in engine.asked:
        assert how.max_tokens == MOST - len(ids) > 5 and how.stop == []


def test_it_tokenises_texts_and_no_messages(theirs: SimpleNamespace, tokenizer: Any) -> None:
    """No chat template, and its own turn again as part of nothing but a text."""
    (response,), engine = execute(theirs, instance(theirs), tokenizer, wanted(), "One.")
    (first, _), (second, _) = engine.asked

    def spelled(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    assert first == spelled("One.")
    assert second[len(first) :] == spelled("hm") + spelled(" Go on.")
    assert "<|im_start|>" not in tokenizer.decode(response["observation_tokens"])


def test_it_cuts_a_long_prompt_from_the_left(theirs: SimpleNamespace, tokenizer: Any) -> None:
    prompt = "Mind the rules. " + "Then count the sheep. " * 40
    (response,), _ = execute(theirs, instance(theirs, turns=1), tokenizer, wanted(), prompt)
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert response["observation_tokens"][: MOST - 1] == ids[-(MOST - 1) :]
    assert "rules" not in tokenizer.decode(response["observation_tokens"])


def test_an_exception_of_an_environment_leaves_it(theirs: SimpleNamespace, tokenizer: Any) -> None:
    with pytest.raises(RuntimeError, match="the environment is broken"):
        execute(theirs, instance(theirs, turns=0), tokenizer, wanted(), "One.", "Two.")


def test_a_batch_of_it_needs_the_same_logs_of_all(theirs: SimpleNamespace, tokenizer: Any) -> None:
    (full,), _ = execute(theirs, instance(theirs), tokenizer, wanted(), "One.")
    kind = theirs.samples_generator.SamplesGenerator
    generator = kind.__new__(kind)
    (other,), _ = execute(theirs, instance(theirs, logs={"o": 1.0}), tokenizer, wanted(), "One.")
    batch = [
        generator._process_response_into_experience(response, max_len=MOST)
        for response in (full, other)
    ]
    for place, sample in enumerate(batch):
        sample.index = [place]
    with pytest.raises(KeyError, match="calls"):
        theirs.experience.make_experience_batch(
            [item for sample in batch for item in theirs.experience.split_experience_batch(sample)]
        )


def test_its_validation_tells_sources_apart_by_the_text_alone(theirs: SimpleNamespace) -> None:
    """One problem at two budgets, right at one: one name has both, the other none."""
    rows = [("low", "What is $1 + 1$?"), ("high", "What is $1 + 1$?")]
    loader = [([source], [prompt], [""], [None]) for source, prompt in rows]
    samples = [
        SimpleNamespace(
            prompts=[prompt],
            rewards=torch.tensor([reward]),
            response_length=torch.tensor([3]),
            truncated=torch.tensor([False]),
        )
        for (_, prompt), reward in zip(rows, (0.0, 1.0), strict=True)
    ]
    found = theirs.ppo_trainer.compute_eval_metrics(loader, samples, 1)
    assert found["eval_high_pass1"] == 0.5
    assert "eval_low_pass1" not in found
