"""A made-up run for the tests of reports: several systems, budgets, tasks and kinds of trouble.

Deterministic in its arguments. Nothing in it was measured; the experts' names and prices only
look like real ones.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.metrics.summary import SystemTraits, summarise
from corl_bench.results import (
    MANIFEST_SCHEMA,
    CallRecord,
    EpisodeRecord,
    Summary,
    encode_episode,
    encode_summary,
)
from corl_bench.types import Budget, Usage

BUDGETS = (
    Budget("low", Decimal("0.0005")),
    Budget("medium", Decimal("0.004")),
    Budget("high", Decimal("0.02")),
)
# name: share right, input and output $/Mtok, mean output tokens, seconds
EXPERTS = {
    "qwen-7b": (0.42, Decimal("0.05"), Decimal("0.10"), 420, 2.1),
    "nano": (0.55, Decimal("0.10"), Decimal("0.40"), 610, 3.0),
    "mid": (0.68, Decimal("0.40"), Decimal("1.60"), 700, 4.4),
    "large": (0.77, Decimal("2"), Decimal("8"), 820, 7.5),
    "reasoner": (0.91, Decimal("2"), Decimal("8"), 4200, 31.0),
}
SUBJECTS = ("Algebra", "Geometry", "Number Theory", "Precalculus")
HOSTILE = (
    "<script>document.title = 'owned'; window.owned = true</script>"
    '<img src=x onerror="window.owned = true"> & </script> \u2028 \u2029 {{ 7 * 7 }}'
)
SYSTEMS = {
    **{f"single:{name}": SystemTraits() for name in EXPERTS},
    "random": SystemTraits(),
    "mix:nano,reasoner@0.5": SystemTraits(),
    "cascade:nano>mid>reasoner": SystemTraits(),
    "vote:nano,mid,large": SystemTraits(),
    "controller": SystemTraits(reads_budget=True),
    "oracle": SystemTraits(is_oracle=True),
}


@dataclass(frozen=True)
class SampleRun:
    summary: Summary
    episodes: list[EpisodeRecord]
    manifest: dict[str, Any]
    problems: dict[tuple[str, str], str]
    golds: dict[tuple[str, str], str]

    def write(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        with (run_dir / "episodes.jsonl").open("w", encoding="utf-8") as file:
            for episode in self.episodes:
                file.write(json.dumps(encode_episode(episode), ensure_ascii=False) + "\n")
        (run_dir / "summary.json").write_text(json.dumps(encode_summary(self.summary)), "utf-8")
        (run_dir / "manifest.json").write_text(json.dumps(self.manifest), "utf-8")
        with (run_dir / "problems.jsonl").open("w", encoding="utf-8") as file:
            for (task, problem_id), text in self.problems.items():
                row = {
                    "task": task,
                    "id": problem_id,
                    "problem": text,
                    "answer": self.golds[task, problem_id],
                    "kind": "math",
                    "redistributable": self.summary.tasks[task]["redistributable"],
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def sample_run(
    *, problems: int = 40, samples: int = 1, restricted: bool = True, seed: int = 7
) -> SampleRun:
    """A run over `synth`, and with `restricted` over `contest` too, whose texts are protected."""
    tasks: dict[str, dict[str, Any]] = {
        "synth": {
            "title": "Generated competition problems",
            "digest": "sha256:5f2c",
            "digest_status": "pinned",
            "problems": problems,
            "redistributable": True,
        }
    }
    if restricted:
        tasks["contest"] = {
            "title": "A protected contest",
            "digest": "sha256:91ab",
            "digest_status": "unpinned",
            "problems": 12,
            "redistributable": False,
        }
    texts: dict[tuple[str, str], str] = {}
    golds: dict[tuple[str, str], str] = {}
    episodes: list[EpisodeRecord] = []
    for task, facts in tasks.items():
        for number in range(facts["problems"]):
            key = (task, f"{task}-{number:04d}")
            first, second = 7 + 3 * number, 11 + number
            texts[key] = (
                f"A merchant of {task} packs {first} lamps into each of {second} crates and then"
                rf" removes $\frac{{1}}{{{second}}}$ of them. How many lamps remain?"
            )
            golds[key] = str(first * second - first)
            for system, traits in SYSTEMS.items():
                for budget in BUDGETS if traits.reads_budget else (None,):
                    episodes += [
                        _episode(key, number, golds[key], system, budget, sample, seed)
                        for sample in range(samples)
                    ]
    if episodes:
        episodes[0] = _hostile(episodes[0])
    rows = summarise(episodes, tasks=list(tasks), systems=SYSTEMS, budgets=BUDGETS)
    total = sum((episode.list_cost_usd for episode in episodes), Decimal(0))
    unsettled = sum((episode.unsettled_usd for episode in episodes), Decimal(0))
    summary = Summary(
        run_id="2026-03-14-sample",
        simulated=True,
        finished=True,
        tasks=tasks,
        rows=rows,
        list_cost_usd=total,
        billed_cost_usd=Decimal(0),
        unsettled_usd=unsettled,
        unsettled_attempts=sum(bool(e.unsettled_usd) for e in episodes),
        attempts=sum(call.attempts for episode in episodes for call in episode.calls),
        notes=("contest: its digest could not be computed here (unpinned).",) if restricted else (),
    )
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "corl_bench": "0.1.0",
        "command": ["corl-bench", "run", "--task", "synth", "--seed", str(seed)],
        "created": "2026-03-14T09:26:53Z",
        "seed": seed,
        "samples": samples,
        "mode": "auto",
        "grader": "strict@1",
        "python": "3.11.9",
        "tasks": {name: {"digest": facts["digest"]} for name, facts in tasks.items()},
        "pool": {
            "name": "sim",
            "digest": "sha256:0aa1f4",
            "experts": [
                {
                    "name": name,
                    "model": f"example/{name}",
                    "provider": "simulated",
                    "price": {
                        "model": f"example/{name}",
                        "effective_from": "2025-06-10",
                        "source": "https://example.org/pricing",
                        "input_usd_per_mtok": str(row[1]),
                        "output_usd_per_mtok": str(row[2]),
                    },
                }
                for name, row in EXPERTS.items()
            ],
        },
        "systems": [
            {"name": name, "reads_budget": traits.reads_budget, "is_oracle": traits.is_oracle}
            for name, traits in SYSTEMS.items()
        ],
        "budgets": {budget.name: str(budget.usd) for budget in BUDGETS},
    }
    return SampleRun(summary, episodes, manifest, texts, golds)


def _episode(
    key: tuple[str, str],
    number: int,
    gold: str,
    system: str,
    budget: Budget | None,
    sample: int,
    seed: int,
) -> EpisodeRecord:
    task, problem_id = key
    draw = random.Random(f"{seed}|{task}|{problem_id}|{system}|{budget and budget.name}|{sample}")
    names = _chosen(system, budget, draw)
    calls = []
    for name in names:
        # One reply for each expert, problem and sample, whichever system asks for it.
        own = random.Random(f"{seed}|{task}|{problem_id}|{name}|{sample}")
        calls.append(_call(own, name, number, gold))
    final = calls[-1]
    if system.startswith("vote"):
        final = max(
            calls, key=lambda call: sum(call.source_correct == c.source_correct for c in calls)
        )
    if system == "oracle":
        final = next((call for call in calls if call.source_correct), calls[0])
        calls = [final]
    failed = final.text is None
    answer = None if failed else final.text.rsplit("{", 1)[-1].rstrip("}.$") if final.text else None
    verdict = "error" if failed else "correct" if answer == gold else "wrong"
    if not failed and "boxed" not in (final.text or ""):
        verdict, answer = "no_answer", None
    return EpisodeRecord(
        task=task,
        problem_id=problem_id,
        system=system,
        budget=budget.name if budget else None,
        budget_usd=budget.usd if budget else None,
        sample=sample,
        verdict=verdict,
        answer=answer,
        response=final.text,
        calls=tuple(calls),
        detail=""
        if verdict == "correct"
        else f"gold {gold}"
        if verdict == "wrong"
        else final.detail,
        latency_s=sum(call.latency_s for call in calls),
        subject=SUBJECTS[number % len(SUBJECTS)],
        level=1 + number % 5,
    )


def _chosen(system: str, budget: Budget | None, draw: random.Random) -> list[str]:
    family, _, rest = system.partition(":")
    if family == "single":
        return [rest]
    if family == "random":
        return [draw.choice(list(EXPERTS))]
    if family == "mix":
        return [draw.choice(["nano", "reasoner"])]
    if family == "vote":
        return ["nano", "mid", "large"]
    if family == "cascade":
        return ["nano", "mid", "reasoner"][: draw.choice([2, 2, 3])]
    if family == "controller" and budget is not None:
        return {
            "low": ["qwen-7b"] if draw.random() < 0.4 else ["nano"],
            "medium": ["nano", "mid"] if draw.random() < 0.6 else ["large"],
            "high": ["mid", "reasoner"] if draw.random() < 0.5 else ["reasoner"],
        }[budget.name]
    return list(EXPERTS)


def _call(own: random.Random, name: str, number: int, gold: str) -> CallRecord:
    share, price_in, price_out, tokens, latency_s = EXPERTS[name]
    output = max(40, round(own.gauss(tokens, tokens / 4)))
    usage = Usage(
        input_tokens=180, output_tokens=output, reasoning_tokens=output // 2 if tokens > 4000 else 0
    )
    cost = (price_in * usage.input_tokens + price_out * usage.output_tokens) / 1_000_000
    fate = own.random()
    if fate < 0.004:
        return CallRecord(
            expert=name,
            model=f"example/{name}",
            status="timeout",
            attempts=3,
            unsettled_usd=price_out * 8192 / 1_000_000,
            latency_s=latency_s * 3,
            detail="no full answer within 600 s",
        )
    right = own.random() < share - (number % 5) * 0.04
    value = gold if right else str(int(gold) + own.choice([-2, -1, 1, 2, 10]))
    finish, text = "stop", _worked(own, number, value)
    if fate < 0.012:
        finish, text = "refusal", "I cannot help with that."
    elif fate < 0.024:
        finish, text = "length", _worked(own, number, value).split("Therefore")[0]
    return CallRecord(
        expert=name,
        model=f"example/{name}",
        status="ok",
        finish=finish,
        text=text,
        usage=usage,
        list_cost_usd=cost,
        attempts=1 + (own.random() < 0.02),
        latency_s=own.uniform(0.6, 1.5) * latency_s,
        source_correct=right and finish == "stop",
    )


def _worked(own: random.Random, number: int, value: str) -> str:
    steps = [
        f"Write n = {number + step} for the crates that step {step + 1} looks at; the count of"
        f" lamps is then {own.randint(10, 9999)}, and nothing else changes."
        for step in range(own.randint(2, 6))
    ]
    return "\n\n".join(steps) + f"\n\nTherefore the answer is $\\boxed{{{value}}}$."


def _hostile(episode: EpisodeRecord) -> EpisodeRecord:
    """The same episode as a malicious model would have it."""
    call = episode.calls[0]
    evil = CallRecord(
        expert=call.expert,
        model="example/<b>bold</b>",
        status="ok",
        finish="stop",
        text=HOSTILE,
        usage=call.usage,
        list_cost_usd=call.list_cost_usd,
        latency_s=call.latency_s,
        detail="</script><script>window.owned = true</script>",
    )
    return EpisodeRecord(
        task=episode.task,
        problem_id=episode.problem_id,
        system=episode.system,
        budget=episode.budget,
        budget_usd=episode.budget_usd,
        sample=episode.sample,
        verdict="unparsable",
        answer="<script>window.owned = true</script>",
        response=HOSTILE,
        calls=(evil,),
        detail="<img src=x onerror=alert(1)>",
        latency_s=episode.latency_s,
        subject=episode.subject,
        level=episode.level,
    )
