"""Rollouts are episodes of the bench: simulated, recorded, and live under a cap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("torch")

from corl_bench.cli.main import main
from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.experts.base import ExpertSpec, Pool, Reply, Sampling
from corl_bench.experts.pools import load_pool
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.money.ledger import Intent, Ledger, read_ledger
from corl_bench.results import EpisodeRecord, encode_episode, read_episodes
from corl_bench.routers.controller import Controller
from corl_bench.runs.plan import make_plan
from corl_bench.runs.run import run
from corl_bench.tasks import LoadedTask, load_task
from corl_bench.types import Budget, Usage
from corl_train.config import load_recipe
from corl_train.environment import Environment, Errand, draw_errands
from corl_train.experts import Experts
from corl_train.policies.tiny import TinyPolicy
from corl_train.rollouts import Rollout
from corl_train.setup import new_policy, prepare, write_controller
from servers.experts import KEY, KEY_ENV, expert_at
from servers.fault_server import FaultServer, Question
from training.scripted_policy import (
    ScriptedPolicy,
    calls_then_answers,
    controller,
    serving,
    sums,
)

BUDGET = Budget("low", Decimal("0.01"))
RECORDED = Pool("p", (expert_at(None, provider="recorded", key_env=None),))


@pytest.fixture
def task(tmp_path: Path) -> LoadedTask:
    return sums(tmp_path)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


def roll_out(
    task: LoadedTask,
    pool: Pool,
    policy: ScriptedPolicy,
    errands: list[Errand],
    experts: Experts | None = None,
) -> list[Rollout]:
    with Environment(
        pool, task, task.problems, controller(), policy, experts=experts or Experts()
    ) as environment:
        return environment.roll_out(errands, temperature=1.0)


def import_draws(path: Path, task: LoadedTask, answers: list[str]) -> Path:
    """A store with these replies of `mid` to the task's first problem."""
    with RecordingStore.open(path) as store:
        for sample, text in enumerate(answers):
            usage = Usage(input_tokens=10, output_tokens=20)
            store.add(
                RecordedCall(
                    request_key="",
                    sample=sample,
                    occurrence=0,
                    expert="mid",
                    model="gpt-4.1",
                    problem_key=problem_key(task.problems[0].text),
                    attempts=(Attempt("ok", usage),),
                    reply=Reply(text, usage),
                    origin="imported",
                )
            )
    return path


def replies(rollouts: list[Rollout], expert: str = "mid") -> list[str | None]:
    return [call.text for r in rollouts for call in r.episode.calls if call.expert == expert]


def live(server: FaultServer, **changes: Any) -> Pool:
    return Pool("live", (expert_at(server.base_url, **changes),))


class Anew:
    """Answers with another number every time."""

    asked = 0

    def __call__(self, question: Question) -> str:
        self.asked += 1
        return f"\\boxed{{{self.asked}}}"


def test_an_episode_is_the_one_that_a_run_makes(tmp_path: Path) -> None:
    # A few turns of gibberish; what matters is that both make the same of them.
    settings = ["policy.width=16", "policy.depth=1", "policy.heads=2"]
    setup = prepare(load_recipe("quickstart", settings=settings))
    policy = new_policy(setup, seed=2)
    write_controller(setup, policy, tmp_path / "controller")
    plan = make_plan(
        tasks=["synth:train"],
        pool=setup.pool,
        systems=[f"controller:{tmp_path / 'controller'}"],
        budget="low,high",
        samples=1,
        seed=3,
        limit=4,
        mode="live",
        data_dir=None,
    )
    run(plan, tmp_path / "run", command=[], concurrency=3, quiet=True)
    (task,), (system,) = plan.tasks, plan.systems
    assert isinstance(system, Controller)
    with Environment(setup.pool, task, task.problems, system, policy, seed=3) as environment:
        errands = [Errand(p, b, 0) for p in task.problems for b in plan.budgets]
        rollouts = environment.roll_out(errands, temperature=0.0)

    def known(episodes: Iterable[EpisodeRecord]) -> dict[str, dict[str, Any]]:
        return {episode.key: encode_episode(episode) for episode in episodes}

    made = known(read_episodes(tmp_path / "run"))
    assert known(rollout.episode for rollout in rollouts) == made
    assert len(made) == 8


def test_simulated_experts_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pool = load_pool("sim")
    setup = prepare(load_recipe("quickstart"))
    rng = Random(1)
    errands = draw_errands(setup.train.problems, setup.budgets, 12, 2, first_sample=1, rng=rng)
    policy = calls_then_answers("nano", "large")
    with Environment(pool, setup.train, setup.train.problems, controller(), policy) as environment:
        first = environment.roll_out(errands, temperature=1.0)
        assert environment.roll_out(errands, temperature=1.0) == first
        assert environment.desk.billed_usd == 0
    assert all(r.episode.list_cost_usd > 0 for r in first)
    assert list(tmp_path.iterdir()) == []
    # Episodes of one group are the same problem at the same budget, with replies of their own.
    assert [r.group for r in first] == [n // 2 for n in range(12)]
    assert any(
        replies([a], "nano") != replies([b], "nano")
        for a, b in zip(first[::2], first[1::2], strict=True)
    )


def test_recorded_draws_are_taken_in_turn(tmp_path: Path, task: LoadedTask) -> None:
    path = import_draws(tmp_path / "store.sqlite", task, ["\\boxed{10}", "\\boxed{2}", "no"])
    before = path.read_bytes()
    errands = [Errand(task.problems[0], BUDGET, sample) for sample in range(1, 8)]
    policy = calls_then_answers("mid", answer="<answer>10</answer>")
    experts = Experts("replay", recordings=path)
    rollouts = roll_out(task, RECORDED, policy, errands, experts)
    assert replies(rollouts) == [
        ("\\boxed{10}", "\\boxed{2}", "no")[sample % 3] for sample in range(1, 8)
    ]
    # Samples 1 and 4 took the same draw, at the same time, and have transcripts of their own.
    first, fourth = rollouts[0].transcript, rollouts[3].transcript
    assert first.ids == fourth.ids
    assert first is not fourth
    assert all(r.episode.verdict == "correct" for r in rollouts)
    # Ten tokens read at $2 and twenty written at $8 a million, and the controller's own at $1.
    usage = sum(
        c.usage.input_tokens + c.usage.output_tokens
        for c in rollouts[0].episode.calls
        if c.role == "self" and c.usage
    )
    assert rollouts[0].episode.list_cost_usd == Decimal("0.00018") + Decimal(usage) / 10**6
    assert path.read_bytes() == before


def test_what_is_not_recorded_fails_and_is_told(tmp_path: Path, task: LoadedTask) -> None:
    path = import_draws(tmp_path / "store.sqlite", task, ["\\boxed{10}"])
    policy = calls_then_answers("mid", answer="<answer>11</answer>")
    (rollout,) = roll_out(
        task,
        RECORDED,
        policy,
        [Errand(task.problems[1], BUDGET, 1)],
        Experts("replay", recordings=path),
    )
    call = next(call for call in rollout.episode.calls if call.expert == "mid")
    assert call.status == "not_recorded"
    assert 'failed="not_recorded"' in rollout.transcript.texts[2]
    assert rollout.episode.verdict == "correct"


@pytest.mark.usefixtures("key")
def test_live_replies_are_asked_once_and_recorded(tmp_path: Path, task: LoadedTask) -> None:
    errands = [Errand(task.problems[n % 4], BUDGET, n) for n in range(6)]
    policy = calls_then_answers("mid", "mid")
    experts = Experts(folder=tmp_path / "run", max_cost_usd=Decimal(1))
    with serving(answer=Anew()) as server:
        pool = live(server)
        first = roll_out(task, pool, policy, errands, experts)
        assert len(server.requests) == 12
        assert len(set(replies(first))) == 12
        # A run that goes on makes the same episodes again, and pays for none of them.
        assert roll_out(task, pool, policy, errands, experts) == first
        assert len(server.requests) == 12
        with experts.open(pool) as desk:
            assert desk.billed_usd == server.bill_usd
        more = [Errand(task.problems[0], BUDGET, 100)]
        later = roll_out(task, pool, policy, more, experts)
        assert len(server.requests) == 14
        # Replies that are stored are booked once, however often an environment needs them.
        with Environment(
            pool, task, task.problems, controller(), policy, experts=experts
        ) as environment:
            booked = len(list(read_ledger(tmp_path / "run")))
            for _ in range(2):
                environment.roll_out(errands, temperature=0.0)
                assert len(list(read_ledger(tmp_path / "run"))) == booked
            new = [Errand(task.problems[1], BUDGET, 200)]
            for _ in range(2):
                latest = environment.roll_out(new, temperature=0.0)
                assert len(list(read_ledger(tmp_path / "run"))) == booked + 2
        assert len(server.requests) == 16
    billed = sum(line.billed_cost_usd for line in read_ledger(tmp_path / "run"))
    assert billed == server.bill_usd
    # What one run has paid for others train from: any episode's replies, without a key.
    free = Experts("replay", recordings=tmp_path / "run" / "recordings.sqlite")
    again = roll_out(task, RECORDED_LIVE, policy, errands, free)
    assert set(replies(again)) <= {*replies(first), *replies(later), *replies(latest)}
    assert all(call.status == "ok" for r in again for call in r.episode.calls)


RECORDED_LIVE = Pool("live", (expert_at("http://127.0.0.1:9/v1", key_env="NOT_SET"),))


@pytest.mark.usefixtures("key")
def test_auto_asks_only_what_is_not_recorded(tmp_path: Path, task: LoadedTask) -> None:
    path = import_draws(tmp_path / "store.sqlite", task, ["\\boxed{10}"])
    experts = Experts(recordings=path, folder=tmp_path / "run", max_cost_usd=Decimal(1))
    errands = [Errand(task.problems[n], BUDGET, 1) for n in (0, 1)]
    with serving() as server:
        first = roll_out(task, live(server), calls_then_answers("mid"), errands, experts)
        assert len(server.requests) == 1
        assert replies(first)[0] == "\\boxed{10}"
        assert roll_out(task, live(server), calls_then_answers("mid"), errands, experts) == first
        assert len(server.requests) == 1


@pytest.mark.usefixtures("key")
def test_the_cap_holds_over_restarts_and_keeps_what_was_paid_for(
    tmp_path: Path, task: LoadedTask
) -> None:
    errands = [Errand(task.problems[n % 4], BUDGET, n) for n in range(8)]
    policy = calls_then_answers("mid")
    experts = Experts(folder=tmp_path / "run", max_cost_usd=Decimal("0.004"))
    with serving() as server:
        pool = live(server)
        with pytest.raises(CapReachedError) as reached:
            roll_out(task, pool, policy, errands, experts)
        assert reached.value.exit_code == 3
        paid = len(server.requests)
        assert 0 < paid < 8
        assert server.bill_usd <= Decimal("0.004")
        with pytest.raises(CapReachedError):
            roll_out(task, pool, policy, errands, experts)
        assert server.bill_usd <= Decimal("0.004")
        paid = len(server.requests)
        higher = replace(experts, max_cost_usd=Decimal(1))
        rollouts = roll_out(task, pool, policy, errands, higher)
        assert len(server.requests) == 8 > paid
    lines = list(read_ledger(tmp_path / "run"))
    assert sum(line.billed_cost_usd for line in lines) == server.bill_usd
    assert not any(line.unsettled_usd for line in lines)
    assert all(call.status == "ok" for r in rollouts for call in r.episode.calls)


@pytest.mark.usefixtures("key")
def test_a_call_that_a_kill_has_cut_counts_at_its_worst(tmp_path: Path) -> None:
    pool = Pool("live", (expert_at("http://127.0.0.1:9/v1"),))
    (tmp_path / "run").mkdir()
    with Ledger.open(tmp_path / "run") as ledger:
        ledger.announce(Intent("e#1", 1, "mid", "gpt-4.1", "m@1", Decimal("0.25"), "k", 1, 0, "e"))
    experts = Experts(folder=tmp_path / "run", max_cost_usd=Decimal(1))
    for _ in range(2):
        with experts.open(pool) as desk:
            assert desk.billed_usd == Decimal("0.25")


LIVE = expert_at("http://127.0.0.1:9/v1")
SIMULATED = load_pool("sim").experts[0]


@pytest.mark.parametrize(
    ("experts", "spec", "said"),
    [
        (Experts(), LIVE, "set a spending cap with --max-cost"),
        (
            Experts(max_cost_usd=Decimal(1)),
            replace(LIVE, key_env="NOT_SET_1"),
            "no key in NOT_SET_1",
        ),
        (
            Experts(max_cost_usd=Decimal(1)),
            replace(LIVE, sampling=Sampling()),
            "needs max_output_tokens",
        ),
        (Experts("replay"), SIMULATED, "needs recordings"),
        (Experts("live", recordings=Path("x.sqlite")), SIMULATED, "drop --recordings"),
        (Experts(recordings=Path("nosuch.sqlite")), SIMULATED, "nosuch.sqlite"),
        (Experts(), RECORDED.experts[0], "name them with --recordings"),
    ],
)
@pytest.mark.usefixtures("key")
def test_what_cannot_work_is_refused_in_one_line(
    experts: Experts, spec: ExpertSpec, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        experts.open(Pool("p", (spec,)))
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_recordings_that_know_nothing_of_an_expert(tmp_path: Path, task: LoadedTask) -> None:
    path = import_draws(tmp_path / "store.sqlite", task, ["\\boxed{10}"])
    other = replace(RECORDED.experts[0], name="large", model="o3")
    with pytest.raises(ConfigError, match="has no reply of large"):
        Experts(recordings=path).open(Pool("p", (*RECORDED.experts, other)))


def test_one_episode_is_made_once(task: LoadedTask) -> None:
    errand = Errand(task.problems[0], BUDGET, 1)
    with pytest.raises(ValueError, match="two errands"):
        roll_out(task, load_pool("sim"), calls_then_answers("nano"), [errand, errand])


def test_more_episodes_than_the_controller_may_have_turns_at_a_time(task: LoadedTask) -> None:
    system = controller()
    system = replace(system, own_model=replace(system.own_model, max_concurrency=3))
    policy = calls_then_answers("nano")
    with Environment(load_pool("sim"), task, task.problems, system, policy) as environment:
        errands = [Errand(task.problems[n % 4], BUDGET, n) for n in range(8)]
        rollouts = environment.roll_out(errands, temperature=0.0)
    assert [len(r.transcript.texts) for r in rollouts] == [4] * 8
    assert max(map(len, policy.batches)) == 3


def test_real_answers_of_real_models(shared_dir: Path, tmp_path: Path) -> None:
    """Training from recordings of gsm: real texts and prices, no key, no money."""
    folder = shared_dir / "recordings" / "gsm"
    models = ("gemini-1.5-flash", "gpt-4o-2024-08-06")
    problems = folder / "problems.jsonl.zst"
    path = tmp_path / "store.sqlite"
    for model in models:
        files = [str(folder / f"{model}.jsonl.zst"), "--problems", str(problems)]
        with pytest.raises(SystemExit) as left:
            main(["recordings", "import", str(path), *files])
        assert left.value.code == 0
    task = load_task(str(problems), limit=16)
    pool = Pool(
        "gsm",
        tuple(
            expert_at(None, name=name, model=name, provider="recorded", key_env=None)
            for name in models
        ),
    )
    errands = [Errand(problem, BUDGET, 1 + n) for n, problem in enumerate(task.problems)]
    with_large = calls_then_answers(*models, answer='<answer from="2"/>')
    experts = Experts("replay", recordings=path)
    rollouts = roll_out(task, pool, with_large, errands, experts)
    assert all(call.status == "ok" for r in rollouts for call in r.episode.calls)
    assert sum(r.episode.verdict == "correct" for r in rollouts) >= 14
    assert min(r.episode.list_cost_usd for r in rollouts) > 0
    assert roll_out(task, pool, with_large, errands, experts) == rollouts


def test_a_group_meets_the_same_replies(task: LoadedTask) -> None:
    pool = load_pool("sim")
    play = calls_then_answers("nano", "nano", "mini", answer='<answer from="mini"/>')

    def told(share_replies: bool) -> list[set[tuple[str | None, ...]]]:
        errands = draw_errands(
            task.problems,
            [BUDGET],
            24,
            8,
            first_sample=1,
            rng=Random(0),
            share_replies=share_replies,
        )
        assert len({errand.sample for errand in errands}) == 24
        rollouts = roll_out(task, pool, play, errands)
        experts = [
            tuple(call.text for call in r.episode.calls if call.expert != "controller")
            for r in rollouts
        ]
        return [
            {e for e, r in zip(experts, rollouts, strict=True) if r.group == group}
            for group in range(3)
        ]

    assert [len(group) for group in told(True)] == [1, 1, 1]
    assert min(len(group) for group in told(False)) > 1


def test_another_policy_may_speak(task: LoadedTask) -> None:
    with Environment(
        load_pool("sim"), task, task.problems, controller(), calls_then_answers("nano")
    ) as environment:
        other = ScriptedPolicy(lambda texts: "<answer>10</answer>")
        (rollout,) = environment.roll_out(
            [Errand(task.problems[0], BUDGET, 1)], temperature=0.0, policy=other
        )
    assert rollout.episode.answer == "10"
    assert len(other.batches) == 1


def test_an_opener_says_the_first_turns_and_they_teach_nothing(task: LoadedTask) -> None:
    opener, policy = calls_then_answers("nano", "mini"), calls_then_answers("large", "mini")
    errands = [Errand(task.problems[0], BUDGET, n, opening=n) for n in range(4)]
    with Environment(load_pool("sim"), task, task.problems, controller(), policy) as environment:
        rollouts = environment.roll_out(errands, temperature=1.0, opener=opener)
    called = [[c.expert for c in r.episode.calls if c.role == "expert"] for r in rollouts]
    # The opener answers behind its two calls; then the policy has nothing to say any more.
    assert called == [["large", "mini"], ["nano", "mini"], ["nano", "mini"], ["nano", "mini"]]
    for opening, rollout in enumerate(rollouts):
        said = rollout.transcript
        own = bytes(token for token, mine in zip(said.ids, said.mask, strict=True) if mine)
        assert own.decode() == "".join(said.texts[1 + 2 * opening :: 2])
        assert rollout.opening == opening


def test_a_group_is_opened_alike(task: LoadedTask, policy: TinyPolicy) -> None:
    errands = draw_errands(
        task.problems,
        [BUDGET],
        64,
        8,
        first_sample=1,
        rng=Random(0),
        share_replies=True,
        opening_rate=0.5,
        longest_opening=3,
    )
    lengths = {errand.group: errand.opening for errand in errands}
    assert set(lengths.values()) == {0, 1, 2, 3}
    opener = TinyPolicy.new(policy.tokens, policy.model.shape, seed=8)
    with Environment(load_pool("sim"), task, task.problems, controller(), policy) as environment:
        rollouts = environment.roll_out(errands, temperature=1.0, opener=opener)
        again = environment.roll_out(errands, temperature=1.0, opener=opener)
        assert [r.transcript for r in again] == [r.transcript for r in rollouts]
    for group, opening in lengths.items():
        begun = {tuple(r.transcript.texts[: 2 * opening]) for r in rollouts if r.group == group}
        assert len(begun) == 1
    assert len({r.transcript.texts[1] for r in rollouts}) > 4


def test_where_one_call_is_all_there_is_nothing_to_open(task: LoadedTask) -> None:
    errands = draw_errands(
        *(task.problems, [BUDGET], 16, 2),
        first_sample=1,
        rng=Random(0),
        opening_rate=0.9,
        longest_opening=0,
    )
    assert {errand.opening for errand in errands} == {0}


def test_budgets_may_be_tried_more_often_than_others(task: LoadedTask) -> None:
    low, high = Budget("low", Decimal("0.001")), Budget("high", Decimal("0.02"))
    errands = draw_errands(
        task.problems, [low, high], 24, 2, first_sample=1, rng=Random(0), weights=[1, 3]
    )
    tried = [errand.budget for errand in errands if errand.budget is not None]
    assert [budget.name for budget in tried[::2]] == ["low", "high", "high", "high"] * 3
    # One for a budget that has no weight; a weight without a budget is nobody's.
    for weights in ([2], [2, 1, 5]):
        errands = draw_errands(
            task.problems, [low, high], 6, 1, first_sample=1, rng=Random(0), weights=weights
        )
        assert [errand.budget for errand in errands] == [low, low, high] * 2
