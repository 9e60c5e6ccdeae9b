"""What a user of OpenAI's client writes, for any server: `python client_script.py`.

The address and the key come from OPENAI_BASE_URL and OPENAI_API_KEY, as for any such script.
It prints one line of JSON. Nothing in it knows which server answers.
"""

from __future__ import annotations

import json
import sys

import openai


def main() -> int:
    client = openai.OpenAI()
    models = [model.id for model in client.models.list()]
    question = "What is 6 times 7?"
    reply = client.chat.completions.create(
        model=models[0],
        messages=[
            {"role": "system", "content": "Box your answer."},
            {"role": "user", "content": question},
        ],
        seed=3,
        temperature=0,
        max_tokens=300,
    )
    (choice,) = reply.choices
    assert choice.message.role == "assistant"
    assert choice.finish_reason in ("stop", "length")
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    try:
        client.chat.completions.create(
            model="nobody", messages=[{"role": "user", "content": question}]
        )
    except openai.NotFoundError as error:
        refused = error.code
    try:
        client.chat.completions.create(model=models[0], messages=[])
    except openai.BadRequestError as error:
        field = error.param
    print(
        json.dumps(
            {
                "models": models,
                "text": choice.message.content,
                "tokens": reply.usage.total_tokens,
                "refused": refused,
                "field": field,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
