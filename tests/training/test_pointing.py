"""What an answer teaches of the replies that it could have pointed at."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

import torch

from corl_bench.routers.protocol import load_protocol
from corl_train.pointing import choices_of, misplaced, pointings_of
from corl_train.rollouts import Pointing, Transcript
from training.scripted_policy import ScriptedPolicy

PROTOCOL = load_protocol("digest")
BYTES = ScriptedPolicy(lambda texts: "")
VERDICTS = {"nano": False, "mini": True, "large": False}


def conversation(answer: str, opening: str = "Which?\n") -> Transcript:
    transcript = Transcript()
    for role, text in (
        ("user", opening),
        ("own", '<call expert="nano"></call>'),
        ("user", "…"),
        ("own", answer),
    ):
        ids = list(text.encode())
        if role == "own":
            transcript.say(ids, [-0.5] * len(ids))
        else:
            transcript.read(ids)
        transcript.texts.append(text)
    return transcript


def test_it_is_the_token_at_which_the_experts_part() -> None:
    transcript = conversation('<answer from="mini"/>')
    (found,) = pointings_of(transcript, [{}, VERDICTS], BYTES, PROTOCOL)
    assert bytes(transcript.ids[: found.place]).endswith(b'<answer from="')
    assert found.right == (ord("m"),)
    assert found.wrong == (ord("n"), ord("l"))


@pytest.mark.parametrize(
    ("answer", "verdicts"),
    [
        ("<answer>42</answer>", VERDICTS),
        ('<call expert="nano"></call>', VERDICTS),
        ("Hm.", VERDICTS),
        ("<answer", VERDICTS),
        # In other words: which token it is cannot be told.
        ("<answer from='mini'/>", VERDICTS),
        # Nothing to choose between.
        ('<answer from="mini"/>', {"nano": True, "mini": True}),
        ('<answer from="nano"/>', {"nano": False}),
        ('<answer from="nano"/>', {}),
    ],
)
def test_other_turns_teach_nothing(answer: str, verdicts: dict[str, bool]) -> None:
    assert pointings_of(conversation(answer), [{}, verdicts], BYTES, PROTOCOL) == ()


class OneTokenATurn(ScriptedPolicy):
    """Each turn is one token, as the tiny policy spells them."""

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        return [256 + text.encode()[-6]]


def test_where_one_token_tells_all_every_turn_teaches() -> None:
    transcript = Transcript()
    for turn in range(3):
        transcript.read([1, 2])
        transcript.say([300 + turn], [-0.5])
    told = [{}, {"nano": False, "mini": True}, {"nano": False, "mini": True, "large": True}]
    second, third = pointings_of(transcript, told, OneTokenATurn(lambda texts: ""), PROTOCOL)
    assert (second.place, third.place) == (5, 8)
    assert (len(second.right), len(second.wrong)) == (1, 1)
    assert (len(third.right), len(third.wrong)) == (2, 1)
    # The first turn was an opener's: what is left stands for the last ones.
    transcript.mask[2] = 0
    assert pointings_of(transcript, told, OneTokenATurn(lambda texts: ""), PROTOCOL) == (
        second,
        third,
    )


def test_by_hand() -> None:
    mask = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]])
    pointings = ((Pointing(3, (5,), (6, 7)),), (), (Pointing(2, (6, 7), (5,)),))
    choices = choices_of(pointings, mask)
    assert choices is not None
    assert choices.rows.tolist() == [1, 4]  # of six own tokens, row by row
    odds = torch.full((6, 9), 1e-6)
    odds[1, [5, 6, 7]] = torch.tensor([0.2, 0.3, 0.1])
    odds[4, [5, 6, 7]] = torch.tensor([0.2, 0.3, 0.1])
    lost = misplaced(odds.log(), choices)
    assert lost.tolist() == pytest.approx([-math.log(0.2 / 0.6), -math.log(0.4 / 0.6)], abs=1e-5)


def test_its_gradient_moves_towards_the_right_ones_alone() -> None:
    logits = torch.zeros(1, 9, requires_grad=True)
    choices = choices_of(((Pointing(1, (5,), (6,)),),), torch.tensor([[0.0, 1.0]]))
    assert choices is not None
    misplaced(logits.log_softmax(dim=1), choices).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 5] == pytest.approx(-0.5)
    assert logits.grad[0, 6] == pytest.approx(0.5)
    assert logits.grad[0, :5].abs().max() < 1e-6  # whether to answer at all is not its business


def test_without_pointings_there_are_no_choices() -> None:
    assert choices_of((), torch.ones(2, 3)) is None
    assert choices_of(((), ()), torch.ones(2, 3)) is None
