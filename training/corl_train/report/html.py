"""The page of a training run: what `corl-train report` writes.

It makes no request: style, script and data stand in the file, and its content security policy
allows inline style and that one script, by its digest, and nothing else. Whatever models and
files said is text, escaped by the template.

    path = report_run(Path("runs/quickstart"))       # runs/quickstart/report.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError, CorlError
from corl_bench.files import write_text
from corl_bench.money.amounts import format_usd
from corl_bench.report.drilldown import embeddable
from corl_bench.report.figures import percent, rough_percent
from corl_bench.report.pages import open_templates, page_file, policy_for
from corl_bench.report.provenance import facts
from corl_bench.text import well_formed
from corl_train.report import panels
from corl_train.report.chart import FRAME, Picture, lay_out
from corl_train.report.findings import tell
from corl_train.report.samples import shown_samples, spaced
from corl_train.runs.files import (
    METRICS_NAME,
    MetricsLine,
    Sample,
    read_config,
    read_metrics,
    read_samples,
)

REPORT_NAME = "report.html"
_PACKAGE = "corl_train.report"
MOST_ROWS = 60
"""Iterations of a table; of more, some evenly spaced ones and the last."""


def report_run(folder: Path, out: Path | None = None, *, include_restricted: bool = False) -> Path:
    """Renders the report of a training run, finished or not.

    Reads `config.json`, `metrics.jsonl` and, where it is there, `samples.jsonl`.

    Args:
        folder: the run's directory.
        out: file to write; None: `report.html` in the run's directory.
        include_restricted: show rollouts on tasks whose texts may not be redistributed.

    Returns:
        The file that was written. It appears whole or not at all.

    Raises:
        ConfigError: there is no training run, it has no iteration yet, or a file of it is not
            what it should be.
        StorageError: a file of it cannot be read, or the report not be written.
    """
    config = read_config(folder)
    lines = read_metrics(folder)
    if not lines:
        raise ConfigError(
            f"{folder / METRICS_NAME} holds no iteration yet: report it once it has made one"
        )
    page = render(
        config,
        lines,
        read_samples(folder),
        name=folder.resolve().name,
        include_restricted=include_restricted,
    )
    path = out if out is not None else folder / REPORT_NAME
    write_text(path, page)
    return path


def render(
    config: Mapping[str, Any],
    lines: Sequence[MetricsLine],
    samples: Sequence[Sample],
    *,
    name: str,
    include_restricted: bool = False,
) -> str:
    """The whole page.

    Args:
        config: seed and configuration.
        lines: at least one, in order.
        samples: rollouts of validations, in order.
        name: of the run.
        include_restricted: as in `report_run`.
    """
    from markupsafe import Markup

    templates = open_templates(
        _PACKAGE,
        percent=percent,
        rough_percent=rough_percent,
        usd=panels.usd,
        exact_usd=_exact_usd,
    )
    own_style, own_script = (page_file(f"training.{kind}", _PACKAGE) for kind in ("css", "js"))
    style = "\n".join((page_file("page.css"), page_file("report.css"), own_style))
    script = "\n".join((page_file("page.js"), own_script))
    pool = _pool_facts(config)
    last = lines[-1]["iteration"]
    groups = [
        _Group(anchor, title, [lay_out(panel, last_iteration=last) for panel in chosen])
        for anchor, title, chosen in (
            (
                "budgets",
                "By budget",
                panels.by_budget(
                    lines,
                    pool.budgets_usd or {},
                    pool.own,
                    reward=_reward(config),
                ),
            ),
            ("calls", "Whom it calls", panels.by_expert(lines, pool.own)),
            ("update", "The update", panels.of_update(lines)),
        )
        if chosen
    ]
    pictures = [picture for group in groups for picture in group.pictures]
    open_text = include_restricted or _redistributable(config)
    page = templates.get_template("training.html.j2").render(
        name=name,
        recipe=str(config.get("name", "")),
        seed=config.get("seed"),
        pool=pool,
        totals=_totals(config, lines),
        findings=tell(lines),
        best=_best(lines, pool.own),
        groups=groups,
        frame=FRAME,
        validations=_validation_rows(lines, pool.own),
        experts=panels.experts_of(lines),
        updates=_update_rows(lines),
        thinned=max((picture.iterations_a_place for picture in pictures), default=1),
        thinned_marks=max((picture.validations_a_mark for picture in pictures), default=1),
        samples=shown_samples(samples) if open_text else [],
        kept_samples=len(samples),
        masked=_table(config, "training").get("mask_experts", True),
        withheld=None if open_text or not samples else str(config["data"].get("validation")),
        restricted_shown=include_restricted and not _redistributable(config),
        facts=facts(config),
        policy=policy_for(script),
        style=Markup(style),
        script=Markup(script),
        readings=Markup(embeddable([picture.readings for picture in pictures])),
    )
    return well_formed(page)


def _exact_usd(amount: Decimal | str | float) -> str:
    """All digits of an amount, as a budget was written."""
    return format_usd(Decimal(str(amount)))


def _table(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = config.get(name)
    return table if isinstance(table, Mapping) else {}


def _reward(config: Mapping[str, Any]) -> str:
    """What training counts, in words."""
    table = _table(config, "reward")
    return "fined gate" if any(table.get("fines", ())) else str(table.get("kind", "gate"))


@dataclass(frozen=True, slots=True)
class _Group:
    anchor: str
    title: str
    pictures: Sequence[Picture]


@dataclass(frozen=True, slots=True)
class _PoolFacts:
    name: str
    simulated: bool
    known: bool
    """False: the pool of the run cannot be loaded any more."""
    own: tuple[str, ...] = ()
    """Names of the controller's own attempts."""
    budgets_usd: Mapping[str, Decimal] | None = None


def _pool_facts(config: Mapping[str, Any]) -> _PoolFacts:
    """What the run's pool says; a report must not fail because its file has been moved."""
    from corl_bench.experts.pools import load_pool
    from corl_bench.runs.plan import parse_budgets

    name = str(config["data"].get("pool"))
    try:
        pool = load_pool(name)
        budgets = parse_budgets(config["data"].get("budgets"), pool)
    except CorlError:
        return _PoolFacts(name, simulated=False, known=False)
    return _PoolFacts(
        name=name,
        simulated=pool.simulated,
        known=True,
        own=pool.own,
        budgets_usd={budget.name: budget.usd for budget in budgets},
    )


def _redistributable(config: Mapping[str, Any]) -> bool:
    """Whether rollouts on the validation task may be shown; a file of problems is the user's."""
    from corl_bench.tasks.loading import spec_of

    name = str(config["data"].get("validation"))
    try:
        return spec_of(name).redistributable
    except ConfigError:
        return not name.partition(":")[0].endswith(".toml")


def _totals(config: Mapping[str, Any], lines: Sequence[MetricsLine]) -> list[tuple[str, str]]:
    """Figures of the whole run, each with what it is."""
    planned = _table(config, "training").get("iterations")
    done = lines[-1]["iteration"]
    episodes = sum(score["episodes"] for line in lines for score in line["train"])
    best = _best_line(lines)
    totals = [
        (f"{done:,}", f"of {planned:,} iterations" if isinstance(planned, int) else "iterations"),
        (f"{episodes:,}", "training episodes"),
        (_duration(lines[-1]["cpu_s"]), "CPU time, warm start included"),
        (str(config.get("seed", "–")), "seed"),
    ]
    if best is not None:
        reward = _mean_reward(best["validation"])
        at = f"best mean reward in validation, iteration {best['iteration']:,}"
        totals.insert(0, (f"{reward:.3f}", at))
    return totals


def _duration(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _mean_reward(scores: Sequence[Mapping[str, Any]]) -> float:
    return float(sum(score["reward"] for score in scores) / len(scores))


def _best_line(lines: Sequence[MetricsLine]) -> MetricsLine | None:
    """The validation that earned most, the first of equals, as the trainer chooses it."""
    judged = [line for line in lines if line.get("validation")]
    return max(judged, key=lambda line: _mean_reward(line["validation"]), default=None)


def _best(lines: Sequence[MetricsLine], own: Sequence[str]) -> dict[str, Any] | None:
    best = _best_line(lines)
    if best is None:
        return None
    return {"iteration": best["iteration"], "scores": _with_calls(best["validation"], own)}


def _with_calls(scores: Sequence[Mapping[str, Any]], own: Sequence[str]) -> list[dict[str, Any]]:
    return [{**score, "to_experts": panels.total_calls(score, own)} for score in scores]


def _validation_rows(lines: Sequence[MetricsLine], own: Sequence[str]) -> list[dict[str, Any]]:
    judged = {line["iteration"]: line for line in lines if line.get("validation")}
    return [
        {"iteration": i, "scores": _with_calls(judged[i]["validation"], own)}
        for i in spaced(list(judged), MOST_ROWS)
    ]


def _update_rows(lines: Sequence[MetricsLine]) -> dict[str, Any]:
    """A table of the update's figures: its heads, and a row an iteration that has trained."""
    by_iteration = {line["iteration"]: line for line in lines if line["train"]}
    names = panels.update_names(lines)
    rows = []
    for iteration in spaced(list(by_iteration), MOST_ROWS):
        line = by_iteration[iteration]
        figures = [panels.number(line, name) for name in names]
        rewards = [f"{score['reward']:.3f}" for score in line["train"]]
        rows.append((iteration, rewards, ["–" if f is None else panels.digits(f) for f in figures]))
    return {"budgets": panels.budgets_of(lines), "names": names, "rows": rows}
