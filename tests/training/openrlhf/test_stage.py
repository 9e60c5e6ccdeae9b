"""Rollouts of an OpenRLHF worker are episodes of the bench, whatever happens to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

pytest.importorskip("torch")
pytest.importorskip("transformers")

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, ProviderError
from corl_bench.experts.pool_text import pool_text
from corl_bench.experts.pools import load_pool
from corl_bench.results import encode_episode
from corl_bench.routers.protocol import load_protocol
from corl_bench.tasks import load_task
from corl_bench.types import Problem
from corl_train.environment import Environment, Errand
from corl_train.openrlhf.data import prepare_rows
from corl_train.openrlhf.engine import Engine, Talk
from corl_train.openrlhf.label import Label
from corl_train.openrlhf.logs import names
from corl_train.openrlhf.stage import DIARY, Stage
from corl_train.policies.base import Said, Speaking
from corl_train.policies.chat import Chat
from corl_train.rewards import gate
from corl_train.rollouts import Transcript
from servers.experts import KEY, KEY_ENV, ask, expert_at
from servers.fault_server import Arrival, Question
from small_models import small_tokenizer
from training.openrlhf.engines import ScriptedEngine, output, wanted
from training.openrlhf.jobs import HIGH, LOW, TASK, a_job, label, problems
from training.openrlhf.recipes_at_hand import recipe_at_hand
from training.scripted_policy import serving

TURN = "<|im_start|>assistant"
MOST = 4096
NAMES = names(("low", "high"), [expert.name for expert in load_pool("sim").experts])


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return small_tokenizer()


def plays(*turns: str) -> Callable[[str], str]:
    """Says these turns, one after the other, in whatever conversation."""
    return lambda text: turns[text.count(TURN) - 1]


def roll_out(
    stage: Stage,
    tokenizer: Any,
    turn: Callable[[str], str] | Any,
    *asked: tuple[str, str],
    most: int = MOST,
    **how: Any,
) -> list[dict[str, Any]]:
    """Rollouts of some prompts and labels, all at once, and the end of the stage."""
    engine = ScriptedEngine(tokenizer, turn) if callable(turn) else turn
    sampling = wanted(**how)

    async def all_of_them() -> list[dict[str, Any]]:
        try:
            return await asyncio.gather(
                *(
                    stage.roll_out(prompt, text, sampling, most, tokenizer, engine.generate)
                    for prompt, text in asked
                )
            )
        finally:
            await stage.aclose()

    return asyncio.run(all_of_them())


def said(tokenizer: Any, response: dict[str, Any]) -> list[str]:
    ids = response["observation_tokens"]
    return [tokenizer.decode(ids[start:end]) for start, end in response["action_ranges"]]


def diary(folder: Path) -> list[dict[str, Any]]:
    (path,) = (folder / DIARY).iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


@contextmanager
def shared(
    folder: Path, *, answers: Callable[[Question], str] = lambda q: "$7$", **options: Any
) -> Iterator[tuple[Any, str]]:
    """A server in the place of a shared pool's, and the pool file that leads to it."""
    with serving(answer=answers, **options) as server:
        yield server, write_pool(folder, expert_at(server.base_url, send_seed=True, max_attempts=1))


def write_pool(folder: Path, *experts: ExpertSpec) -> str:
    path = folder / "pool.toml"
    path.write_text(pool_text("p", experts, price_date=None, budgets={}, note="of a test"))
    return str(path)


class Scripted:
    """The same turns for the trainer's own environment, in the same tokens."""

    def __init__(self, tokenizer: Any, turn: Callable[[str], str]) -> None:
        self.chat, self.turn = Chat.of(tokenizer, source="test"), turn

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        return self.chat.read(role, text, behind)

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        return self.chat.spell(text)

    def session(self) -> Scripted:
        return self

    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        turns = []
        for transcript in transcripts:
            text = self.turn(self.chat.tokenizer.decode(transcript.ids))
            ids = self.chat.tokenizer(text)["input_ids"]
            turns.append(Said(ids, [-0.1] * len(ids), self.chat.decode(ids), "stop"))
        return turns


def test_an_episode_is_that_of_the_trainer(tokenizer: Any, tmp_path: Path) -> None:
    """Same calls, same replies, same ledger, same verdict, same tokens, same reward."""
    task = load_task(TASK, limit=8)
    turns = ('<call expert="nano"></call>', "hm<|im_end|>", '<call expert="mini"></call>')
    turn = plays(*turns, '<answer from="2"/><|im_end|>')
    job = a_job(prompts={TASK: task.spec.prompt}, seed=5)
    stage = Stage(job, tmp_path)
    asked = [(p.text, label(p, budget)) for p in task.problems for budget in (LOW, HIGH)]
    responses = roll_out(stage, tokenizer, turn, *asked)
    policy = Scripted(tokenizer, turn)
    errands = [
        Errand(problem, budget, sample, replies=0)
        for sample, (problem, budget) in enumerate(
            (p, budget) for p in task.problems for budget in (LOW, HIGH)
        )
    ]
    with Environment(
        load_pool("sim"), task, task.problems, stage.controller, policy, seed=5
    ) as environment:
        rollouts = environment.roll_out(errands, temperature=1.0)
    lines = {(line["problem_id"], line["budget"]): line for line in diary(tmp_path)}
    for response, rollout in zip(responses, rollouts, strict=True):
        episode = rollout.episode
        line = lines[episode.problem_id, episode.budget]
        kept = rollout.transcript
        assert response["observation_tokens"] == kept.ids
        own = [place for span in response["action_ranges"] for place in range(*span)]
        assert own == [place for place, mask in enumerate(kept.mask) if mask]
        right, cost_usd = episode.verdict == "correct", episode.list_cost_usd
        assert response["reward"] == gate(
            right=right, cost_usd=cost_usd, budget_usd=rollout.budget_usd
        )
        encoded = encode_episode(episode)
        for name in ("task", "problem_id", "budget", "verdict", "list_cost_usd"):
            assert line[name] == encoded[name]
        logs = response["extra_logs"]
        assert logs["corl/calls"] == 2 and logs["corl/invalid_turns"] == 1
        assert logs["corl/cost_usd"] == float(cost_usd)
        assert logs["corl/violations"] == (cost_usd > (rollout.budget_usd or 0))
    assert {response["reward"] for response in responses} == {0.0, 1.0}
    assert {"correct", "wrong"} <= {line["verdict"] for line in lines.values()}


def test_tokens_behind_a_stop_string_are_the_turns_own(tokenizer: Any) -> None:
    """The token that completes the string may hold more; then so does the text that is trained."""
    call = '<call expert="nano"></call>'
    ids = tokenizer(call + "\n\n")["input_ids"]

    class Overshooting:
        async def generate(self, prompt: list[int], how: Any) -> Any:
            # As vLLM: all of the token, but a text that ends with the string.
            return output(ids, call, "stop", log_probs=[-0.5] * len(ids))

    (problem,) = problems(1)
    (response,) = roll_out(
        Stage(a_job()), tokenizer, Overshooting(), (problem.text, label(problem))
    )
    assert set(said(tokenizer, response)) == {call + "\n\n"}
    assert response["extra_logs"]["corl/bad"] == 0 and response["extra_logs"]["corl/calls"] == 4


def test_a_rollout_ends_in_time_for_the_context(tokenizer: Any) -> None:
    (problem,) = problems(1)
    turn = plays(*['<call expert="nano"></call>'] * 9)
    full = roll_out(Stage(a_job()), tokenizer, turn, (problem.text, label(problem)))[0]
    first = full["action_ranges"][0][1]
    for most in (first - 3, first, first + 40, full["action_ranges"][1][0] + 2):
        (cut,) = roll_out(
            Stage(a_job()), tokenizer, turn, (problem.text, label(problem)), most=most
        )
        assert len(cut["observation_tokens"]) <= most and cut["action_ranges"]
        assert (
            cut["observation_tokens"]
            == full["observation_tokens"][: len(cut["observation_tokens"])]
        )
        assert cut["extra_logs"]["corl/too_long"] == 1 and cut["extra_logs"]["corl/bad"] == 0
        assert cut["reward"] == 0
        assert cut["truncated"]
    (none,) = roll_out(Stage(a_job()), tokenizer, turn, (problem.text, label(problem)), most=50)
    assert none["action_ranges"] == [] and len(none["observation_tokens"]) == 50
    assert none["extra_logs"]["corl/too_long"] == 1 and none["truncated"]
    assert not full["truncated"]


def test_a_turn_is_capped_by_the_protocol(tokenizer: Any) -> None:
    (problem,) = problems(1)
    (response,) = roll_out(
        Stage(a_job()), tokenizer, lambda text: "and so on " * 50, (problem.text, label(problem))
    )
    most = load_protocol("digest").max_turn_tokens
    assert {end - start for start, end in response["action_ranges"]} == {most}
    assert response["extra_logs"]["corl/invalid_turns"] == 3
    assert not response["truncated"]  # by the context, that is: it has room left


def test_without_log_probabilities_there_are_none(tokenizer: Any) -> None:
    (problem,) = problems(1)
    (response,) = roll_out(
        Stage(a_job()),
        tokenizer,
        plays("<answer>7</answer>"),
        (problem.text, label(problem)),
        logprobs=None,
    )
    assert response["rollout_log_probs"] is None and response["action_ranges"]


class Broken:
    """An engine that fails in a way of its own at its second turn."""

    def __init__(self, tokenizer: Any, how: str) -> None:
        self.whole = ScriptedEngine(tokenizer, plays(*['<call expert="nano"></call>'] * 5))
        self.how = how

    async def generate(self, prompt: list[int], how: Any) -> Any:
        good = await self.whole.generate(prompt, how)
        if len(self.whole.asked) < 2:
            return good
        if self.how == "raises":
            raise RuntimeError("EngineDeadError: the engine is dead")
        if self.how == "hangs":
            await asyncio.sleep(3600)
        if self.how == "says nothing":
            return output([], "", "stop", log_probs=[])
        if self.how == "is aborted":
            good.outputs[0].finish_reason = "abort"
        if self.how == "says too much":
            return output([7] * (how.max_tokens + 1), "", "length", log_probs=[0.0] * 25)
        if self.how == "forgets log-probabilities":
            good.outputs[0].logprobs = None
        if self.how == "returns nothing":
            return None
        return good


@pytest.mark.parametrize(
    "how",
    [
        "raises",
        "hangs",
        "says nothing",
        "is aborted",
        "says too much",
        "forgets log-probabilities",
        "returns nothing",
    ],
)
def test_an_engine_that_fails_costs_an_episode(tokenizer: Any, how: str, tmp_path: Path) -> None:
    (problem,) = problems(1)
    stage = Stage(a_job(turn_timeout_s=0.5), tmp_path)
    (response,) = roll_out(stage, tokenizer, Broken(tokenizer, how), (problem.text, label(problem)))
    logs = response["extra_logs"]
    assert response["reward"] == response["scores"] == 0
    assert logs["corl/errors"] == 1 and logs["corl/calls"] == 1 and logs["corl/high/share"] == 1
    # What the engine does wrong is not the controller's to learn from.
    assert logs["corl/bad"] == 1 and logs["corl/turns"] == 1 and response["action_ranges"] == []
    (line,) = diary(tmp_path)
    assert line["verdict"] == line["bad"] == "error" and "engine" in line["detail"]


def test_what_is_no_episode_teaches_nothing(tokenizer: Any, tmp_path: Path) -> None:
    (problem,) = problems(1)
    stage = Stage(a_job(), tmp_path)
    good = label(problem)
    asked = [good, "", "42", good.replace(TASK, "unheard-of"), good.replace("0.05", "five cents")]
    responses = roll_out(
        stage, tokenizer, plays("<answer>7</answer>"), *((problem.text, text) for text in asked)
    )
    assert [r["extra_logs"]["corl/bad"] for r in responses] == [0, 1, 1, 1, 1]
    assert all(list(r["extra_logs"]) == NAMES for r in responses)
    for response in responses[1:]:
        assert response["action_ranges"] == [] and response["reward"] == 0
        assert response["observation_tokens"] and not any(response["rollout_log_probs"])
    assert [line.get("bad", "") for line in diary(tmp_path)].count("label") == 3


def test_a_tokenizer_without_a_template_costs_no_training(tmp_path: Path) -> None:
    (problem,) = problems(1)
    bare = small_tokenizer(None)
    (response,) = roll_out(
        Stage(a_job(), tmp_path), bare, plays("hm"), (problem.text, label(problem))
    )
    assert response["extra_logs"]["corl/bad"] == 1
    assert "chat_template" in diary(tmp_path)[0]["detail"]


def test_tokens_that_are_not_the_text_are_found(tokenizer: Any) -> None:
    talk = Talk(Chat.of(tokenizer, source="test"), lambda ids, how: None, wanted(), 100)  # type: ignore[arg-type,return-value]
    talk.transcript.read([5, 6])
    ids = tokenizer("<answer>7</answer>")["input_ids"]
    talk.transcript.say(ids, [-0.5] * len(ids))
    talk.turns.append((2, 2 + len(ids)))
    assert talk.faults(["<answer>7</answer>"]) == ""
    assert "not the controller's text" in talk.faults(["<answer>8</answer>"])
    assert "not the controller's text" in talk.faults([])
    talk.transcript.log_probs[0] = -1.0
    assert "has a log-probability" in talk.faults(["<answer>7</answer>"])
    talk.transcript.mask[0] = 1
    assert "mask" in talk.faults(["<answer>7</answer>"])
    talk.transcript.mask.append(0)
    assert "lengths" in talk.faults(["<answer>7</answer>"])


def test_faults_end_the_episode_as_data(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (problem,) = problems(1)
    monkeypatch.setattr(Talk, "faults", lambda self, turns: "the mask is wrong")
    (response,) = roll_out(
        Stage(a_job(), tmp_path),
        tokenizer,
        plays("<answer>7</answer>"),
        (problem.text, label(problem)),
    )
    assert response["action_ranges"] == [] and response["extra_logs"]["corl/bad"] == 1
    assert response["extra_logs"]["corl/accuracy"] == 0
    assert "the mask is wrong" in diary(tmp_path)[0]["detail"]


async def test_a_rollout_that_is_over_speaks_no_more() -> None:
    engine = Engine(timeout_s=1.0)
    talk = Talk(None, None, wanted(), 10)  # type: ignore[arg-type]
    engine.open(3, talk)
    assert engine.close(3) is talk
    with pytest.raises(ProviderError, match="is over"):
        await engine.send(ask(expert_at(None), sample=3))


@pytest.mark.usefixtures("key")
def test_experts_behind_a_gateway_are_asked_for_their_draws(tokenizer: Any, tmp_path: Path) -> None:
    (problem,) = problems(1)
    turn = plays('<call expert="mid"></call>', '<call expert="mid"></call>', '<answer from="1"/>')
    seeds: list[int] = []

    def counted(arrival: Arrival) -> str:
        seeds.append(arrival.body["seed"])
        return "ok"

    with shared(tmp_path, answers=lambda q: f"${q.seed}$", schedule=counted) as (_, pool):
        stage = Stage(a_job(pool=pool, experts="gateway"))
        text = label(problem, draws=2)
        responses = roll_out(stage, tokenizer, turn, *[(problem.text, text)] * 3)
    again = 1_000_000
    assert sorted(seeds) == [0, 0, 1, again, again, again + 1]
    for response, draw in zip(responses, (0, 1, 0), strict=True):
        told = tokenizer.decode(response["observation_tokens"]).split("</result>")[0]
        assert told.endswith(f">${draw}$")
        assert response["extra_logs"]["corl/cost_usd"] > 0


@pytest.mark.usefixtures("key")
async def test_experts_are_asked_at_the_same_time(tokenizer: Any, tmp_path: Path) -> None:
    """None answers before all are asked: one after the other would come to no end."""
    many = 12
    everybody = asyncio.Barrier(many)

    async def answer(request: web.Request) -> web.Response:
        await everybody.wait()
        usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        message = {"role": "assistant", "content": "$7$"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"model": "gpt-4.1", "choices": [choice], "usage": usage})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    engine = ScriptedEngine(tokenizer, plays('<call expert="mid"></call>', '<answer from="1"/>'))
    async with TestServer(app) as server:
        expert = expert_at(str(server.make_url("/v1")), send_seed=True, max_attempts=1)
        pool = write_pool(tmp_path, expert)
        stage = Stage(a_job(pool=pool, experts="gateway", episode_timeout_s=60.0))
        responses = await asyncio.gather(
            *(
                stage.roll_out(p.text, label(p), wanted(), MOST, tokenizer, engine.generate)
                for p in problems(many)
            )
        )
        await stage.aclose()
    assert [r["extra_logs"]["corl/failed_calls"] for r in responses] == [0] * many
    assert [r["extra_logs"]["corl/bad"] for r in responses] == [0] * many


@pytest.mark.usefixtures("key")
def test_an_expert_that_hangs_ends_the_episode_in_time(tokenizer: Any, tmp_path: Path) -> None:
    (problem,) = problems(1)
    turn = plays('<call expert="mid"></call>', '<answer from="1"/>')
    with shared(tmp_path, schedule=["slow:30"]) as (_, pool):
        stage = Stage(a_job(pool=pool, experts="gateway", episode_timeout_s=0.5), tmp_path)
        (response,) = roll_out(stage, tokenizer, turn, (problem.text, label(problem)))
    assert response["action_ranges"] == [] and response["extra_logs"]["corl/bad"] == 1
    (line,) = diary(tmp_path)
    assert line["bad"] == "time" and line["calls"] == 1
    logs = response["extra_logs"]
    assert logs["corl/experts/mid/calls"] == logs["corl/experts/mid/failed"] == 1


@pytest.mark.usefixtures("key")
def test_what_a_rollout_has_paid_before_its_time_was_up_is_told(
    tokenizer: Any, tmp_path: Path
) -> None:
    (problem,) = problems(1)
    turn = plays(*['<call expert="mid"></call>'] * 4)
    with shared(tmp_path, schedule=["ok", "slow:30"]) as (server, pool):
        stage = Stage(a_job(pool=pool, experts="gateway", episode_timeout_s=1.0), tmp_path)
        (response,) = roll_out(stage, tokenizer, turn, (problem.text, label(problem)))
        assert len(server.requests) >= 1
    logs = response["extra_logs"]
    assert logs["corl/bad"] == 1 and logs["corl/calls"] == 2 and logs["corl/failed_calls"] == 1
    assert logs["corl/cost_usd"] == logs["corl/high/cost_usd"] > 0
    (line,) = diary(tmp_path)
    assert float(line["list_cost_usd"]) == logs["corl/cost_usd"]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("workers", [1, 2])
def test_each_pass_meets_the_draws_of_the_first_whichever_worker_has_it(
    tokenizer: Any, tmp_path: Path, workers: int
) -> None:
    """Two passes of four samples, in one worker or in one each, from rows as `launch` writes."""
    recipe = recipe_at_hand(tmp_path, training__samples="4", training__passes="2")
    row = prepare_rows(recipe, [HIGH], seed=0).train[0]
    seeds: list[int] = []

    def counted(arrival: Arrival) -> str:
        seeds.append(arrival.body["seed"])
        return "ok"

    turn = plays('<call expert="mid"></call>', '<answer from="1"/>')
    with shared(tmp_path, schedule=counted) as (_, pool):
        task = Label.from_text(row["label"]).task
        job = a_job(pool=pool, experts="gateway", prompts={task: "{problem}"})
        stages = [Stage(job) for _ in range(workers)]
        engine, sampling = ScriptedEngine(tokenizer, turn), wanted()

        async def passes() -> None:
            for number in range(2):
                stage = stages[number % workers]
                made = await asyncio.gather(
                    *(
                        stage.roll_out(
                            row["input"], row["label"], sampling, MOST, tokenizer, engine.generate
                        )
                        for _ in range(recipe.training.samples)
                    )
                )
                assert {response["extra_logs"]["corl/calls"] for response in made} == {1}
            for stage in stages:
                await stage.aclose()

        asyncio.run(passes())
    assert sorted(seeds) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.usefixtures("key")
def test_a_call_that_fails_is_told_to_the_controller(tokenizer: Any, tmp_path: Path) -> None:
    (problem,) = problems(1)
    turn = plays('<call expert="mid"></call>', "<answer>7</answer>")
    with shared(tmp_path, schedule=["500"]) as (_, pool):
        stage = Stage(a_job(pool=pool, experts="gateway"))
        (response,) = roll_out(stage, tokenizer, turn, (problem.text, label(problem)))
    logs = response["extra_logs"]
    assert logs["corl/failed_calls"] == 1 and logs["corl/bad"] == 0
    assert len(response["action_ranges"]) == 2


def test_recordings_are_replayed(tokenizer: Any, tmp_path: Path) -> None:
    (problem,) = problems(1)
    recorded = record(tmp_path / "recordings.sqlite", problem, ["$11$", "$12$"])
    pool = write_pool(tmp_path, expert_at(None, provider="recorded", key_env=None))
    stage = Stage(a_job(pool=pool, experts="replay", recordings=str(recorded)))
    turn = plays('<call expert="mid"></call>', '<answer from="1"/>')
    responses = roll_out(stage, tokenizer, turn, *[(problem.text, label(problem))] * 3)
    read = [tokenizer.decode(r["observation_tokens"]) for r in responses]
    assert ["11" in text.split("<result")[1] for text in read] == [True, False, True]


def test_simulated_experts_stand_behind_recordings(tokenizer: Any, tmp_path: Path) -> None:
    """What nobody has recorded is drawn as it would be without them."""
    known, unknown = problems(2)
    recorded = record(tmp_path / "recordings.sqlite", known, ["$7777$"], alias="nano")
    turn = plays('<call expert="nano"></call>', '<answer from="1"/>')
    asked = [(problem.text, label(problem)) for problem in (known, unknown)]
    read = []
    for recordings in (None, str(recorded)):
        stage = Stage(a_job(recordings=recordings))
        responses = roll_out(stage, tokenizer, turn, *asked)
        texts = (tokenizer.decode(response["observation_tokens"]) for response in responses)
        read += [text.split("<result")[1] for text in texts]
    assert ["7777" in text for text in read] == [False, False, True, False]
    assert read[3] == read[1]


def record(path: Path, problem: Problem, texts: Sequence[str], *, alias: str = "mid") -> Path:
    """A store with these draws of an expert's reply to a problem."""
    from corl_bench.experts.base import Reply
    from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
    from corl_bench.experts.store import RecordingStore
    from corl_bench.types import Usage

    usage = Usage(input_tokens=10, output_tokens=20)
    with RecordingStore.open(path) as store:
        for sample, text in enumerate(texts):
            store.add(
                RecordedCall(
                    request_key="",
                    sample=sample,
                    occurrence=0,
                    expert=alias,
                    model="gpt-4.1",
                    problem_key=problem_key(problem.text),
                    attempts=(Attempt("ok", usage),),
                    reply=Reply(text=text, usage=usage, finish="stop", model="gpt-4.1"),
                    origin="imported",
                )
            )
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"experts": "gateway"}, "pool share"),
        ({"protocol": "router-r1"}, "protocol"),
        ({"pool": "nowhere.toml"}, "nowhere"),
        ({"experts": "replay", "recordings": "none.sqlite"}, "none.sqlite"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused_at_once(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Stage(a_job(**changes))


def test_live_experts_are_none_of_a_workers_own(tmp_path: Path) -> None:
    pool = write_pool(tmp_path, expert_at("http://127.0.0.1:9/v1"))
    with pytest.raises(ConfigError, match="pool share"):
        Stage(a_job(pool=pool))
    with pytest.raises(ConfigError, match=KEY_ENV):
        Stage(
            a_job(
                pool=write_pool(tmp_path, expert_at("http://127.0.0.1:9/v1", send_seed=True)),
                experts="gateway",
            )
        )
