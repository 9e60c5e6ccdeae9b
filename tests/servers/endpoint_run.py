"""A run of one endpoint over three problems, in process, against a `RouterServer`."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.experts.pools import load_pool
from corl_bench.runs.plan import make_plan
from corl_bench.runs.run import Finished, run
from servers.router_server import RouterServer

POOL = """
name = "two"
[experts.weak]
provider = "openai"
model = "weak-1"
base_url = "http://127.0.0.1:9/v1"
max_output_tokens = 100
[experts.weak.price]
input_usd_per_mtok = "1"
output_usd_per_mtok = "10"
effective_from = 2026-01-01
source = "tests"
[experts.strong]
provider = "openai"
model = "strong-9"
base_url = "http://127.0.0.1:9/v1"
max_output_tokens = 200
[experts.strong.price]
input_usd_per_mtok = "2"
output_usd_per_mtok = "20"
effective_from = 2026-01-01
source = "tests"
"""
WEAK_USD, STRONG_USD = Decimal("0.002"), Decimal("0.004")
"""A thousand tokens read and a hundred written, at these prices."""

PROBLEMS = (("What is 6 × 7?", "42"), ("Prove that it is 42.", "42"), ("What is 6 + 7?", "13"))


def run_endpoint(
    folder: Path,
    server: RouterServer,
    more: str = "",
    *,
    model: str = "",
    name: str = "mine",
    out: str = "run",
    skip_preflight: bool = True,
    mode: Any = "auto",
    **options: Any,
) -> Finished:
    """Makes the run, or goes on with it.

    Args:
        folder: where its files lie.
        server: the endpoint.
        more: further tables of its file.
        model: further lines of its table `[model]`.
        name: its name.
        out: of the run's directory.
        skip_preflight: as in `run`.
        mode: as in `make_plan`.
        **options: further ones of `run`.
    """
    rows = [
        {"id": str(number), "problem": text, "answer": gold}
        for number, (text, gold) in enumerate(PROBLEMS)
    ]
    (folder / "task.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "pool.toml").write_text(POOL)
    path = folder / "router.toml"
    path.write_text(
        f'name = "{name}"\n[model]\nbase_url = "{server.url}"\nmodel = "auto"\n{model}\n{more}\n'
    )
    plan = make_plan(
        tasks=[str(folder / "task.jsonl")],
        pool=load_pool(str(folder / "pool.toml")),
        systems=[f"endpoint:{path}"],
        budget=None,
        samples=1,
        seed=0,
        limit=None,
        mode=mode,
        data_dir=None,
    )
    return run(plan, folder / out, command=[], skip_preflight=skip_preflight, quiet=True, **options)
