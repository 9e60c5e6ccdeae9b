"""What the warm start teaches, and how it tells that it was learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.routers.protocol import CallReport, Voice, load_protocol
from corl_bench.tasks import load_task
from corl_bench.types import Budget
from corl_train.config import WarmStartTable, load_recipe
from corl_train.environment import Environment, draw_errands
from corl_train.policies.base import Said, Scores, Speaking
from corl_train.rollouts import Rollout, Transcript
from corl_train.runs.interruption import Stop
from corl_train.setup import new_policy, prepare
from corl_train.trainer import train
from corl_train.warmstart.counsel import Counsel
from corl_train.warmstart.demonstrator import Demonstrator
from corl_train.warmstart.knowledge import Lesson, Record
from corl_train.warmstart.lessons import pad_targets, targets_of, warm_up
from corl_train.warmstart.probe import probe
from training.scripted_policy import controller
from training.tiny_runs import recipe

PROTOCOL = load_protocol("digest")
EXPERTS = ("self", "nano", "mini", "large", "reasoner")
"""From cheap to dear."""
HOW = WarmStartTable(
    stop_rate=0.25, agreed_stop_rate=0.75, again_weight=0.1, counsel_weight=0.9, counsel_heat=0.05
)
READ, END = 256, 257
"""Behind a message that was read; behind a turn that no stop string ends."""

Odds = Callable[[Sequence[str]], Mapping[str, float]]


class Spelling:
    """A policy whose tokens are bytes, and which says what it is told, as often as it is told."""

    context = 100_000

    def __init__(self, odds: Odds = lambda texts: {}) -> None:
        self.odds = odds

    @property
    def module(self) -> nn.Module:
        raise NotImplementedError

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        return [*text.encode(), READ]

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        return [*text.encode()] if text.endswith(stops) else [*text.encode(), END]

    def session(self) -> Spelling:
        return self

    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        raise NotImplementedError

    def score(self, ids: Tensor, mask: Tensor, *, distributions: bool = True) -> Scores:
        """A turn's whole probability stands at its first token."""
        log_probs = torch.zeros(ids.shape)
        for row, own in enumerate(mask.bool().tolist()):
            texts = self._texts(ids[row, : max(place for place, o in enumerate(own) if o) + 1])
            probability = self.odds(texts[:-1]).get(texts[-1], 0.0)
            log_probs[row, own.index(True)] = math.log(max(probability, 1e-30))
        none = torch.zeros(ids.shape)
        return Scores(log_probs, none, none, states=torch.zeros(0))

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def _texts(self, ids: Tensor) -> list[str]:
        texts, text = [], b""
        for token in ids.tolist():
            text += bytes([token]) if token < READ else b""
            if token >= READ or (len(texts) % 2 and text.decode().endswith(PROTOCOL.stops)):
                texts.append(text.decode())
                text = b""
        return texts


def demonstrator(policy: Spelling | None = None) -> Demonstrator:
    return Demonstrator(policy or Spelling(), PROTOCOL, EXPERTS, HOW)


def call(name: str) -> str:
    return f'<call expert="{name}"></call>'


def point(expert: str) -> str:
    return f'<answer from="{expert}"/>'


def conversation(*replies: tuple[str, int | None]) -> list[str]:
    """Messages up to the turn that is wanted; a reply is an expert and which answer it gave."""
    texts = ["Which one?\n"]
    voices: list[Voice] = []
    for number, (name, group) in enumerate(replies, 1):
        voices.append(Voice(name, group))
        report = CallReport(name, number, Decimal(0), Decimal(0), None, calls_left=1)
        reply = None if group is None else str(group)
        texts += [call(name), PROTOCOL.result(report, reply=reply, voices=voices)]
    return texts


def lessons(played: Sequence[Rollout]) -> list[Lesson]:
    counsel = Counsel(dict.fromkeys(EXPERTS, 0.6), dict.fromkeys(EXPERTS, (0.001,)))
    return [Lesson(rollout, -1, [], [], [], counsel) for rollout in played]


def quietly(**changes: Any) -> dict[str, Any]:
    """What a warm start takes beside its demonstrations."""
    aside = {"rehearse": lambda number: [], "rng": Random(1), "stop": Stop()}
    return {**aside, "say": lambda line: None, **changes}


@pytest.fixture(scope="module")
def played() -> list[Rollout]:
    """Demonstrations on the simulated pool, through the environment itself."""
    pool, task = load_pool("sim"), load_task("synth:train", limit=40)
    player = demonstrator()
    budgets = [Budget("low", Decimal("0.0006"))]
    errands = draw_errands(task.problems, budgets, 60, 1, first_sample=1, rng=Random(5))
    with Environment(pool, task, task.problems, controller("digest"), player) as environment:
        return environment.roll_out(errands, temperature=1.0)


# --- what the demonstrator does --------------------------------------------------------------


@pytest.mark.parametrize(
    "replies",
    [
        (),
        (("nano", 0),),
        (("nano", None),),
        (("nano", 0), ("mini", 0)),
        (("nano", None), ("nano", None), ("mini", None), ("large", None)),
        (("nano", 0), ("nano", 0), ("mini", 1), ("large", 1)),
    ],
)
def test_its_turns_are_a_distribution(replies: tuple[tuple[str, int | None], ...]) -> None:
    odds = demonstrator().odds(conversation(*replies))
    assert math.fsum(odds.values()) == pytest.approx(1)
    assert all(share > 0 for share in odds.values())


def test_it_begins_with_anybody_alike() -> None:
    odds = demonstrator().odds(conversation())
    assert odds == {call(name): pytest.approx(0.2) for name in EXPERTS}


def test_for_a_second_opinion_it_asks_somebody_else() -> None:
    odds = demonstrator().odds(conversation(("nano", 0)))
    assert odds[call("nano")] == pytest.approx(0.1 * odds[call("mini")])
    assert odds[point("nano")] == pytest.approx(0.25)
    # One who has failed has said nothing yet.
    odds = demonstrator().odds(conversation(("nano", None)))
    assert odds[call("nano")] == odds[call("mini")] == pytest.approx(0.2)


def test_it_answers_more_often_once_two_agree() -> None:
    odds = demonstrator().odds(conversation(("nano", 0), ("mini", 0)))
    assert math.fsum(odds[p] for p in odds if p.startswith("<answer")) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("replies", "answers"),
    [
        ([("nano", 0)], ["nano"]),
        # No two agree: any of them.
        ([("large", 0), ("nano", 1), ("mini", None)], ["nano", "large"]),
        # A majority of cheap ones outvotes the dearest; whoever is of it can be pointed at.
        ([("reasoner", 0), ("nano", 1), ("self", 1)], ["self", "nano"]),
        # Who repeats itself has one voice.
        ([("nano", 0), ("nano", 0), ("mini", 1), ("large", 1)], ["mini", "large"]),
        # Nobody knows anything: whatever it says, it has to end.
        ([("nano", None)] * 4, ["self"]),
    ],
)
def test_it_answers_with_the_majority(
    replies: list[tuple[str, int | None]], answers: list[str]
) -> None:
    odds = demonstrator().odds(conversation(*replies))
    assert [turn for turn in odds if turn.startswith("<answer")] == [point(n) for n in answers]


@pytest.mark.parametrize(
    ("replies", "answers"),
    [
        # One that is nearly always right against two that seldom are.
        ([("reasoner", 0), ("nano", 1), ("self", 1)], ["reasoner"]),
        ([("mini", 0), ("large", 1)], ["large"]),
        # Two that are right now and then outvote one that is a little better.
        ([("large", 0), ("mini", 1), ("nano", 1)], ["nano", "mini"]),
    ],
)
def test_told_whom_to_trust_it_weighs_their_voices(
    replies: list[tuple[str, int | None]], answers: list[str]
) -> None:
    trust = {"self": 0.2, "nano": 0.5, "mini": 0.5, "large": 0.7, "reasoner": 0.98}
    assert demonstrator().answers(conversation(*replies), trust) == [point(n) for n in answers]


def test_when_no_calls_are_left_it_answers() -> None:
    odds = demonstrator().odds(conversation(*[("nano", 0)] * PROTOCOL.max_calls))
    assert all(turn.startswith("<answer") for turn in odds)


# --- what is taught of it --------------------------------------------------------------------


def test_each_token_teaches_all_that_it_could_have_been(played: list[Rollout]) -> None:
    player = demonstrator()
    several = 0
    for rollout in played:
        transcript = rollout.transcript
        targets = targets_of(player.policy, transcript, PROTOCOL.stops, player.odds)
        own = [t for t, mine in zip(transcript.ids, transcript.mask, strict=True) if mine]
        assert len(targets) == len(own)
        for token, target in zip(own, targets, strict=True):
            assert token in target
            assert math.fsum(target.values()) == pytest.approx(1)
            several += len(target) > 1
        # What the tokens of a turn come to is the turn's own probability.
        place = 0
        for turn in range(1, len(transcript.texts), 2):
            text = transcript.texts[turn]
            shares = [
                target[token]
                for token, target in zip(
                    player.spell(text, PROTOCOL.stops), targets[place:], strict=False
                )
            ]
            place += len(shares)
            odds = player.odds(transcript.texts[:turn])
            assert math.prod(shares) == pytest.approx(odds[text])
    assert several > 100


def test_counsel_shifts_the_odds_and_rules_nothing_out() -> None:
    trust = {"self": 0.1, "nano": 0.5, "mini": 0.5, "large": 0.9, "reasoner": 0.9}
    counsel = Counsel(trust, {**dict.fromkeys(EXPERTS, (0.001,)), "reasoner": (0.05,)})
    texts = conversation(("nano", 0))
    plain = demonstrator().odds(texts, trust)
    advised = demonstrator().advised_odds(texts, counsel, left_usd=0.01)
    assert math.fsum(advised.values()) == pytest.approx(1)
    assert all(advised[turn] > 0.0999 * share for turn, share in plain.items())
    assert max(advised, key=lambda turn: advised[turn]) == call("large")
    # The dear one does not fit: it keeps what random play gives it, and next to nothing else.
    assert advised[call("reasoner")] == pytest.approx(0.1 * plain[call("reasoner")], rel=1e-3)
    # Two choices .05 apart in worth, one heat, are e times as likely as each other.
    worth = counsel.worth([["nano"]], left_usd=0.01, calls=PROTOCOL.max_calls - 1)
    likely = [
        (advised[turn] - 0.1 * plain[turn], worth[name])
        for turn, name in ((call("large"), "large"), (point("nano"), None))
    ]
    (large, its_worth), (stop, stops_worth) = likely
    assert math.log(large / stop) == pytest.approx((its_worth - stops_worth) / 0.05)


def test_without_room_or_replies_it_answers_as_ever() -> None:
    counsel = Counsel(dict.fromkeys(EXPERTS, 0.5), {})
    failed = conversation(*[("nano", None)] * PROTOCOL.max_calls)
    play = demonstrator()
    assert play.advised_odds(failed, counsel, left_usd=1.0) == play.odds(failed)


def test_targets_in_a_rectangle_are_the_same_targets() -> None:
    places, shares = pad_targets([{5: 1.0}, {7: 0.25, 9: 0.75}])
    assert shares.tolist() == [[1.0, 0.0], [0.25, 0.75]]
    assert places[shares > 0].tolist() == [5, 7, 9]


@pytest.mark.parametrize(("fitting", "is_enough"), [(0, False), (1, False), (2, True)])
def test_one_demonstration_is_not_enough(fitting: int, is_enough: bool) -> None:
    """It takes one to learn from, and another to be probed with."""
    setup = prepare(recipe("policy.context=64"))
    policy = new_policy(setup, seed=0)
    player = Demonstrator(policy, setup.protocol, EXPERTS, HOW)
    errands = draw_errands(
        setup.train.problems, setup.budgets, 24, 1, first_sample=1, rng=Random(2)
    )
    with Environment(
        setup.pool, setup.train, setup.train.problems, setup.controller, policy
    ) as environment:
        played = environment.roll_out(errands, temperature=1.0, policy=player)
    lengths = [len(rollout.transcript.ids) for rollout in played]
    short = [r for r, length in zip(played, lengths, strict=True) if length <= policy.context]
    long = [r for r, length in zip(played, lengths, strict=True) if length > policy.context]
    assert len(short) >= 2 and long
    chosen = [*long, *short[:fitting]]
    before = [p.clone() for p in policy.module.parameters()]
    with (
        nullcontext()
        if is_enough
        else pytest.raises(
            ConfigError,
            match=f"^{fitting} of [0-9]+ demonstrations fit into a context of 64 tokens",
        )
    ):
        warm_up(player, chosen, setup, **quietly())
    changed = [
        not torch.equal(*both) for both in zip(before, policy.module.parameters(), strict=True)
    ]
    assert any(changed) == is_enough


def test_rehearsals_teach_in_states_that_the_policy_has_come_to() -> None:
    setup = prepare(recipe("warm_start.counsel_weight=0.5", "warm_start.rehearsals=2"))
    policy = new_policy(setup, seed=0)
    player = Demonstrator(policy, setup.protocol, EXPERTS, setup.config.warm_start)
    errands = draw_errands(
        setup.train.problems, setup.budgets, 12, 1, first_sample=1, rng=Random(2)
    )
    weights: list[list[Tensor]] = []
    with Environment(
        setup.pool, setup.train, setup.train.problems, setup.controller, policy
    ) as environment:

        def rehearse(number: int) -> list[Rollout]:
            assert number == len(weights)
            weights.append([p.detach().clone() for p in policy.module.parameters()])
            return environment.roll_out(errands, temperature=1.0)

        played = environment.roll_out(errands, temperature=1.0, policy=player)
        # Whoever has not learned to speak yet says what no demonstrator could have said.
        own = environment.roll_out(errands, temperature=1.0)
        assert any(rollout.episode.events for rollout in own)
        warm_up(player, played, setup, **quietly(rehearse=rehearse))
    weights.append([*policy.module.parameters()])
    assert len(weights) == 3
    for before, after in pairwise(weights):
        assert any(not torch.equal(*both) for both in zip(before, after, strict=True))
        assert all(tensor.isfinite().all() for tensor in after)


def test_what_nobody_would_have_said_teaches_nothing() -> None:
    player = demonstrator()
    said = '<call expert="nobody"></call>'
    ids, opening = player.spell(said, PROTOCOL.stops), player.read("user", "Which one?\n")
    transcript = Transcript(
        ids=[*opening, *ids],
        mask=[0] * len(opening) + [1] * len(ids),
        log_probs=[0.0] * (len(opening) + len(ids)),
        texts=["Which one?\n", said],
    )
    targets = targets_of(player.policy, transcript, PROTOCOL.stops, player.odds)
    # It parts from all that could be said behind the n, which may begin nano.
    parted = said.index("nobody") + 2
    assert all(math.fsum(target.values()) == pytest.approx(1) for target in targets[:parted])
    assert targets[parted:] == [{}] * (len(ids) - parted)
    assert player.spell(call("nano"), PROTOCOL.stops)[parted - 1] in targets[parted - 1]


def test_trust_is_by_subject_and_never_certain() -> None:
    record = Record(EXPERTS)
    for subject, expert, marks in (("Algebra", "nano", [True, True]), ("AIME", "nano", [False])):
        for mark in marks:
            record.add(subject, expert, mark)
    assert record.trust("Algebra")["nano"] == pytest.approx(3 / 4)
    assert record.trust("AIME")["nano"] == pytest.approx(1 / 3)
    assert record.trust(None)["nano"] == pytest.approx(3 / 5)
    assert record.trust("Geometry") == dict.fromkeys(EXPERTS, 0.5)


# --- how it is told that it was learned ------------------------------------------------------


def test_who_plays_as_the_demonstrator_has_the_skills(played: list[Rollout]) -> None:
    player = demonstrator()
    skills = probe(demonstrator(Spelling(player.odds)), lessons(played), PROTOCOL.stops)
    assert skills.follows_majority == 1.0
    assert skills.speaks_validly == pytest.approx(1.0)
    assert skills.suffice(load_recipe("quickstart").warm_start)


def test_who_always_believes_the_same_expert_has_not(played: list[Rollout]) -> None:
    player = demonstrator(Spelling(lambda texts: {point("nano"): 0.5}))
    skills = probe(player, lessons(played), PROTOCOL.stops)
    assert skills.follows_majority < 0.8
    assert 0 < skills.speaks_validly < 0.5
    assert not skills.suffice(load_recipe("quickstart").warm_start)


def test_lessons_end_when_the_skills_are_there(tmp_path: Path) -> None:
    """Not with the last epoch that the recipe allows."""
    config = load_recipe(
        "quickstart",
        settings=[
            *("policy.width=32", "policy.depth=1", "policy.words=50"),
            *("warm_start.episodes=320", "warm_start.minibatch=16", "warm_start.epochs=0"),
            "warm_start.rehearsals=0",
            *("warm_start.follows_majority=0.6", "warm_start.speaks_validly=0.83"),
            *("training.iterations=0", "schedule.validation_problems=2"),
        ],
    )
    assert prepare(config).config.warm_start.bare_epochs == 20
    heard: list[str] = []
    train(config, tmp_path / "run", seed=0, say=heard.append)
    lessons = [line for line in heard if line.startswith("warm start")]
    assert 1 <= len(lessons) < 20
    shares = [
        [float(word.strip(",%")) / 100 for word in line.split() if word.endswith(("%", "%,"))]
        for line in lessons
    ]
    reached = [follows >= 0.6 and valid >= 0.83 for follows, valid in shares]
    assert reached == [False] * (len(lessons) - 1) + [True]
