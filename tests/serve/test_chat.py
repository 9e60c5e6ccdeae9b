"""What may be asked for, and what each mistake is answered with."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from corl_bench.serve.chat import read_chat
from corl_bench.serve.refusals import Refusal
from corl_bench.types import Message

USER = {"role": "user", "content": "What is 6 times 7?"}


def _body(**changes: Any) -> bytes:
    return json.dumps({"model": "corl", "messages": [USER], **changes}).encode()


def _refused(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as raised:
        read_chat(body)
    assert raised.value.status == 400
    assert "\n" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": None}, "model", "invalid_value"),
        ({"model": 4}, "model", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "hello"}, "messages", "invalid_value"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages", "invalid_value"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages", "invalid_value"),
        ({"messages": [{**USER, "content": 5}]}, "messages", "invalid_value"),
        ({"budget_usd": "a dollar"}, "budget_usd", "invalid_value"),
        ({"budget_usd": True}, "budget_usd", "invalid_value"),
        ({"budget_usd": [1]}, "budget_usd", "invalid_value"),
        ({"budget_usd": -0.01}, "budget_usd", "invalid_value"),
        ({"budget_usd": 0}, "budget_usd", "invalid_value"),
        ({"budget_usd": "$1"}, "budget_usd", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens", "invalid_value"),
        ({"n": 2}, "n", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_value"),
        ({"seed": 1.5}, "seed", "invalid_value"),
        ({"stop": ["a", 1]}, "stop", "invalid_value"),
        ({"stop": list("abcde")}, "stop", "invalid_value"),
        ({"response_format": {"type": "json_object"}}, "response_format", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
        ({"function_call": {"name": "add"}}, "function_call", "unsupported_parameter"),
        (
            {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [{}]}]},
            "messages",
            "unsupported_parameter",
        ),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], param: str, code: str) -> None:
    refusal = _refused(_body(**changes))
    assert (refusal.param, refusal.code) == (param, code)
    assert str(refusal).startswith(param)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN", b"[]", b'"text"'),
        *(b'{"budget_usd": NaN}', b'{"budget_usd": 1e99999999999999999999}'),
    ],
    ids=["empty", "cut", "bytes", "deep", "nan", "list", "text", "nan inside", "huge exponent"],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert _refused(body).code == "invalid_json"


def test_missing_fields_are_called_missing() -> None:
    refusal = _refused(b'{"model": "corl"}')
    assert (refusal.param, refusal.code) == ("messages", "missing_required_parameter")


def test_images_are_refused_in_plain_words() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    refusal = _refused(_body(messages=[{"role": "user", "content": [image]}]))
    assert str(refusal) == (
        "messages.0.content: write text; images and other parts are not supported"
    )


@pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "9" * 4000])
def test_an_amount_that_would_fill_the_memory_is_refused(number: str) -> None:
    body = _body().decode().replace("{", f'{{"budget_usd": {number}, ', 1)
    assert _refused(body.encode()).param == "budget_usd"


@pytest.mark.parametrize("written", ["0.1", '"0.1"', "1e-1", "0.10"])
def test_budgets_are_exact_however_they_are_written(written: str) -> None:
    body = _body().decode().replace("{", f'{{"budget_usd": {written}, ', 1)
    assert read_chat(body.encode()).budget_usd == Decimal("0.1")


def test_what_shapes_sampling_is_the_pools_matter_and_passed_over() -> None:
    chat = read_chat(_body(temperature=0.2, top_p=1, user="u", metadata={"a": "b"}, tools=[]))
    assert chat == read_chat(_body())
    chat = read_chat(_body(tool_choice="auto", function_call="none", parallel_tool_calls=True))
    assert chat == read_chat(_body())


def test_the_smaller_of_two_output_limits_counts() -> None:
    assert read_chat(_body(max_tokens=50, max_completion_tokens=20)).max_output_tokens == 20
    assert read_chat(_body(max_tokens=50)).max_output_tokens == 50


def test_the_statement_is_the_question_as_far_as_there_is_only_one() -> None:
    assert read_chat(_body()).statement == "What is 6 times 7?"


def test_nothing_of_a_conversation_is_kept_from_the_system() -> None:
    system = {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}
    said = {"role": "assistant", "content": "42"}
    again = {"role": "user", "content": "And 7 times 7?"}
    chat = read_chat(_body(messages=[system, USER]))
    assert chat.statement == "Be brief.\n\nWhat is 6 times 7?"
    assert chat.messages[0] == Message("system", "Be brief.")
    chat = read_chat(_body(messages=[USER, said, again]))
    assert chat.statement == "user: What is 6 times 7?\n\nassistant: 42\n\nuser: And 7 times 7?"


def test_half_characters_do_not_reach_an_expert() -> None:
    body = b'{"model": "corl", "messages": [{"role": "user", "content": "cut \\ud83d"}]}'
    assert read_chat(body).messages[0].content == "cut \N{REPLACEMENT CHARACTER}"
