"""What stands in for trained weights: a chat server that speaks tag protocols by rule.

    python every_shape/tag_weights.py 8132

Whatever it is asked to be, `corl` or `router-r1`, it writes one turn of that protocol, as weights
behind vLLM would: it calls an expert, reads what came back, asks a dearer one where the reply
states no answer, and answers. The loop around it, the calls and the money are the bench's.
"""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIRST, SECOND = "nano", "large"


def corl_turn(messages: list[dict[str, str]]) -> str:
    """A turn of the bench's own protocol; a budget called low buys one call."""
    results = [m["content"] for m in messages[2::2]]
    if not results:
        return f'<call expert="{FIRST}"></call>'
    is_poor = "Budget: low" in messages[0]["content"]
    if len(results) == 1 and not is_poor and boxed(results[0]) is None:
        return f'<call expert="{SECOND}"></call>'
    return f'<answer from="{len(results)}"/>'


def router_r1_turn(messages: list[dict[str, str]]) -> str:
    """A turn with Router-R1's tags: a query of its own, and an answer in its own words."""
    question = messages[0]["content"].partition("Question:")[2].strip()
    results = re.findall(r"<information>(.*?)</information>", messages[1]["content"], re.DOTALL)
    answer = boxed(results[-1]) if results else None
    if answer is not None:
        return f"<think>That will do.</think><answer> {answer} </answer>"
    if len(results) == 2:
        return "<think>Nobody knows.</think><answer> unknown </answer>"
    expert = (FIRST, SECOND)[len(results)]
    ask = f"{question} End with the final answer inside \\boxed{{}}."
    return f" A model may know.</think><search> {expert}: {ask} </search>"


def boxed(text: str) -> str | None:
    """What stands in the last box of a text."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    start += len("\\boxed{")
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return text[start:place]
    return None


TURNS = {"corl": corl_turn, "router-r1": router_r1_turn}


def completion(request: dict[str, Any]) -> dict[str, Any]:
    """The body of a chat completion; like a model, it stops in front of a stop string."""
    text = TURNS[request["model"]](request["messages"])
    for stop in request.get("stop") or ():
        text = text.partition(stop)[0]
    read = sum(len(message["content"]) for message in request["messages"])
    return {
        "object": "chat.completion",
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        # A token for every four characters, as English has.
        "usage": {"prompt_tokens": read // 4 + 1, "completion_tokens": len(text) // 4 + 1},
    }


class Handler(BaseHTTPRequestHandler):
    """`POST /v1/chat/completions` and nothing else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answers one request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(completion(request)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of each request."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
