"""Reading a controller's turn: what is a call, what is an answer, and never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.routers.protocol import load_protocol
from corl_bench.routers.turns import Answer, Call, Invalid, Turn, closed, read_turn

PROTOCOL = load_protocol("corl")
EXPERTS = ["nano", "o3"]


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ('<call expert="nano"></call>', Call("nano", "")),
        ('<call expert="nano"/>', Call("nano", "")),
        ("<call expert='o3' >What is 2:3, in %?</call>", Call("o3", "What is 2:3, in %?")),
        ("<call expert=o3>x</call>", Call("o3", "x")),
        ('I had better ask. <call expert="nano">x', Call("nano", "x")),
        ("So it is <answer> 42 </answer>", Answer("42")),
        ("<answer>42", Answer("42")),
        ('<answer from="2"/>', Answer("", points_at=2)),
        ('<answer from="2"></answer>', Answer("", points_at=2)),
        ('<answer from="nano"/>', Answer("", points_at="nano")),
        # The first whole tag counts, whatever comes after it.
        ('<call expert="o3">a</call><answer>b</answer>', Call("o3", "a")),
        ('<answer>1</answer><call expert="o3"></call>', Answer("1")),
        ("""<call expert="o3">"Is '2:3' > 1?"</call>""", Call("o3", """"Is '2:3' > 1?\"""")),
        ('<call expert="o3">is <answer>1</answer></call>', Call("o3", "is <answer>1</answer>")),
        ("<answer>42</answer\n>", Answer("42")),
        # Other tags are text.
        ("<think>call nano?</think> x<y <b>bold</b> <answer>x<3</answer>", Answer("x<3")),
    ],
)
def test_what_a_turn_says(text: str, turn: Call | Answer) -> None:
    assert read_turn(text, PROTOCOL, EXPERTS) == turn


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has no tag"),
        ("The answer is 42.", "it has no tag"),
        ("</answer>", "it has no tag"),
        ("<Answer>42</Answer>", "it has no tag"),
        ("< answer>42</answer>", "it has no tag"),
        ("<answer-key>42</answer-key>", "it has no tag"),
        (f"<call {'x' * 501}>", "it has no tag"),
        ("<answer></answer>", "the answer is empty"),
        ("<answer> \n </answer>", "the answer is empty"),
        ('<answer from="last"/>', "from='last' is neither the number of a call nor an expert"),
        ('<answer from="²"/>', "from='²' is neither the number of a call nor an expert"),
        ("<call>nano: what?</call>", "the call names no expert; there are nano, o3"),
        ('<call expert="gpt-9">x</call>', "'gpt-9' is no expert; there are nano, o3"),
        ('<call nano="">x</call>', "the call names no expert; there are nano, o3"),
        ('<call expert="nano>x</call>', "the attributes of <call> cannot be read"),
        ("<call !!>x</call>", "the attributes of <call> cannot be read"),
    ],
)
def test_what_is_neither(text: str, reason: str) -> None:
    assert read_turn(text, PROTOCOL, EXPERTS) == Invalid(reason)


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("<answer>4", Invalid("it was cut before </answer>")),
        ('<call expert="nano">How many', Invalid("it was cut before </call>")),
        ('<call expert="na', Invalid("it was cut before any whole tag")),
        ("<answer>42</answer> and so", Answer("42")),
        ('<call expert="nano"/> since', Call("nano", "")),
    ],
)
def test_what_a_limit_has_cut_counts_only_where_it_is_whole(text: str, turn: Turn) -> None:
    assert read_turn(text, PROTOCOL, EXPERTS, cut=True) == turn


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('I ask. <call expert="nano">x', 'I ask. <call expert="nano">x</call>'),
        ("<answer>42", "<answer>42</answer>"),
        ("<answer>42</answer> so", "<answer>42</answer> so"),
        ('<call expert="nano"/>', '<call expert="nano"/>'),
        ("Hm. <b>", "Hm. <b>"),
    ],
)
def test_a_swallowed_stop_string_is_added_again(text: str, whole: str) -> None:
    assert closed(text, PROTOCOL) == whole


@given(
    st.lists(
        st.sampled_from(
            [
                *("<call", "</call>", " expert=", '"', "'", "nano", ">", "/>", "<answer", "<"),
                *("from=", "1", " ", "\n", "\x00", "é", "<<"),
            ]
        )
        | st.text(max_size=5),
        max_size=30,
    ).map("".join)
)
def test_it_never_raises_and_calls_nobody_who_is_not_there(text: str) -> None:
    turn = read_turn(text, PROTOCOL, EXPERTS)
    assert isinstance(turn, Call | Answer | Invalid)
    # What is added again changes no turn.
    assert read_turn(closed(text, PROTOCOL), PROTOCOL, EXPERTS) == turn
    if isinstance(turn, Call):
        assert turn.expert in EXPERTS
    if isinstance(turn, Invalid):
        assert "\n" not in turn.reason or "\n" in text


def test_a_megabyte_of_openings_is_read_in_one_pass() -> None:
    assert isinstance(read_turn("<call " * 200_000, PROTOCOL, EXPERTS), Invalid)
    assert isinstance(read_turn("<answer>" + "</answer " * 200_000, PROTOCOL, EXPERTS), Answer)
    assert isinstance(read_turn("<answer>" + "<answer" * 200_000, PROTOCOL, EXPERTS), Answer)
