"""The other end of `exec:`: what a router's own virtualenv needs to answer the bench.

The standard library is enough, and any Python from 3.8 on. Copy this file beside your router, and
import it first:

    from exec_router import serve
    serve(decide=lambda prompt, experts, budget_usd: "small")

or try it as it stands: `corl-bench run --task synth -s "exec:python exec_router.py"`.
"""

import json
import os
import sys

_answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # whatever is printed from here on, by a library that loads weights say, is no answer


def serve(decide=None, score=None, learn=None, freeze=None):
    """Answers questions until the input ends.

    Args:
        decide: gets (prompt, experts, budget_usd) and gives an expert's name, or a dict with
            `expert` and, if you like, `note` and `cost_usd`. Experts are dicts with `name`,
            `model`, `description` and prices; the budget is text or None.
        score: gets (prompt) and gives a number, higher for the strong expert.
        learn: gets (prompt, expert, reward, cost_usd) after each decision in training.
        freeze: is called once when training is over.
    """
    sys.stdin.reconfigure(encoding="utf-8")
    experts = []
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        try:
            kind = request["type"]
            if kind == "hello":
                experts = request["experts"]
                task = "score" if score else "learn" if learn else "decide"
                answer = {"version": 1, "task": task}
            elif kind == "decide":
                choice = decide(request["prompt"], experts, request["budget_usd"])
                answer = choice if isinstance(choice, dict) else {"expert": choice}
            elif kind == "score":
                answer = {"score": float(score(request["prompt"]))}
            elif kind == "learn":
                learn(request["prompt"], request["expert"], request["reward"], request["cost_usd"])
            elif kind == "freeze" and freeze:
                freeze()
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        _answers.write(json.dumps({"id": request["id"], **answer}) + "\n")
        _answers.flush()


if __name__ == "__main__":
    serve(decide=lambda prompt, experts, budget: experts[0 if len(prompt) < 150 else -1]["name"])
