"""The report of a run: one HTML file that needs nothing else.

It makes no request: style, script and data stand in the file, and its content security policy
allows inline style and that one script, by its digest, and nothing else. Whatever models, users
and files said is text: escaped by the template, or put in place as text by the script.

    path = write_report(Path("runs/demo"))       # runs/demo/report.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corl_bench.files import write_text
from corl_bench.money.amounts import display_usd, format_usd
from corl_bench.money.basis import BASIS_WORDS
from corl_bench.report.analysis import LEAST_PROBLEMS, TaskAnalysis, analyse
from corl_bench.report.assessments import gain, shares, window
from corl_bench.report.chart import NARROW, WIDE, describe, family, lay_out
from corl_bench.report.coin import coin_table
from corl_bench.report.drilldown import ProblemTexts, drill_down, embeddable, shown_tasks
from corl_bench.report.figures import (
    TableRow,
    budgets_of,
    cost_words,
    counted,
    digest_flag,
    interval,
    legend,
    percent,
    problems_of,
    put_together,
    rough_percent,
    seconds,
)
from corl_bench.report.pages import SHARED, open_templates, page_file, policy_for
from corl_bench.report.points import FAMILY_TITLES
from corl_bench.report.provenance import command_of, expert_rows, facts
from corl_bench.report.tables import (
    adherence_rows,
    budget_findings,
    choice_groups,
    heat_table,
    hues,
    kept_budgets,
    spend_rows,
)
from corl_bench.results import (
    MANIFEST_NAME,
    EpisodeRecord,
    Summary,
    read_episodes,
    read_manifest,
    read_summary,
)
from corl_bench.results.problems import read_problems
from corl_bench.text import well_formed

REPORT_NAME = "report.html"
STYLES = ("page.css", "report.css")
SCRIPTS = ("page.js", "chart.js", "drilldown.js", "report.js")


def write_report(
    run_dir: Path,
    *,
    episodes: Sequence[EpisodeRecord] | None = None,
    out: Path | None = None,
    include_restricted: bool = False,
) -> Path:
    """Renders the report of a stored run.

    Reads `summary.json`, `episodes.jsonl` and, where they are there, `manifest.json` and
    `problems.jsonl`.

    Args:
        run_dir: directory of the run.
        episodes: those of the run, where they have been read already.
        out: file to write; None: `report.html` in the run's directory.
        include_restricted: show statements, golds and replies of tasks that may not be
            redistributed, for use on one's own machine.

    Returns:
        The file that was written. It appears whole or not at all.

    Raises:
        ConfigError: there is no run, or a file of it is not what it should be.
        StorageError: a file of it cannot be read, or the report not be written.
    """
    summary = read_summary(run_dir)
    problems, golds = _read_problems(run_dir)
    page = render_report(
        summary,
        read_episodes(run_dir) if episodes is None else episodes,
        manifest=read_manifest(run_dir) if (run_dir / MANIFEST_NAME).exists() else {},
        problems=problems,
        golds=golds,
        include_restricted=include_restricted,
    )
    path = out if out is not None else run_dir / REPORT_NAME
    write_text(path, page)
    return path


def _read_problems(run_dir: Path) -> tuple[ProblemTexts, ProblemTexts]:
    problems, golds = {}, {}
    for row in read_problems(run_dir):
        key = (row["task"], row["id"])
        problems[key] = row["problem"]
        if row["answer"] is not None:  # an import may know no gold
            golds[key] = row["answer"]
    return problems, golds


def render_report(
    summary: Summary,
    episodes: Sequence[EpisodeRecord],
    *,
    manifest: Mapping[str, Any],
    problems: ProblemTexts,
    golds: ProblemTexts,
    include_restricted: bool = False,
) -> str:
    """The whole page.

    Args:
        summary: of the run.
        episodes: of the run, in any order.
        manifest: how the run was made; shown as it is, missing keys and all.
        problems: statements by (task, problem id), as far as they are known.
        golds: gold answers likewise.
        include_restricted: show texts of tasks that may not be redistributed. Without it they
            are left out even where `problems` and `golds` have them.
    """
    from markupsafe import Markup

    templates = open_templates(
        SHARED,
        counted=counted,
        interval=interval,
        percent=percent,
        rough_percent=rough_percent,
        seconds=seconds,
        usd=display_usd,
        cost_words=cost_words,
        exact_usd=format_usd,
    )
    style, script = ("\n".join(map(page_file, names)) for names in (STYLES, SCRIPTS))
    index, parts = drill_down(
        summary, episodes, problems, golds, include_restricted=include_restricted
    )
    shown = shown_tasks(summary, include_restricted=include_restricted)
    rows = put_together(summary.rows)
    experts = expert_rows(manifest)
    pool = [expert["name"] for expert in experts]
    analyses = analyse(summary, episodes, manifest)
    page = templates.get_template("report.html.j2").render(
        summary=summary,
        title=_title(shown),
        lede=_lede(summary, manifest),
        sections=[_section(summary, task, rows, analyses.get(task), pool) for task in shown],
        totals=_totals(summary, rows, len(index["problems"])),
        legend=legend(summary),
        withheld=[task for task, open_text in shown.items() if not open_text],
        restricted_shown=[
            task
            for task in shown
            if include_restricted and summary.tasks.get(task, {}).get("redistributable") is not True
        ],
        families=FAMILY_TITLES,
        experts=experts,
        command=command_of(manifest),
        facts=facts(manifest),
        policy=policy_for(script),
        style=Markup(style),
        script=Markup(script),
        index=Markup(embeddable(index)),
        parts=[Markup(embeddable(part)) for part in parts],
    )
    return well_formed(page)


def _section(
    summary: Summary,
    task: str,
    rows: Sequence[TableRow],
    analysis: TaskAnalysis | None,
    pool: Sequence[str],
) -> dict[str, Any]:
    own = [row for row in rows if row.point.task == task]
    budgets = budgets_of(summary)
    band = None if analysis is None else analysis.band
    layouts = [lay_out(own, budgets, frame, band) for frame in (WIDE, NARROW)] if own else []
    return {
        "name": task,
        "title": summary.tasks.get(task, {}).get("title") or task,
        "digest_flag": digest_flag(summary, task),
        "rows": own,
        "budgets": budgets,
        "layouts": layouts,
        "described": describe(layouts[0]) if layouts else "",
        "families": [name for name in FAMILY_TITLES if any(family(row) == name for row in own)],
        "tips": [_tip(row) for row in own],
        "whiskers": _whiskers(own),
        "as_recorded": any(row.point.accuracy_as_recorded is not None for row in own),
        "told": any(row.budget_label for row in own),
        "events": any(row.point.events for row in own),
        "unsettled": any(row.point.unsettled_usd for row in own),
        "problems": problems_of(
            max((row.point.problems for row in own), default=0),
            summary.tasks.get(task, {}).get("total"),
        ),
        "analysis": None if analysis is None else _analysis(analysis, own, pool),
    }


def _analysis(
    analysis: TaskAnalysis, rows: Sequence[TableRow], pool: Sequence[str]
) -> dict[str, Any]:
    assessment = analysis.assessment
    apart = {row.label for row in rows if not row.point.is_ranked}
    hue_of = hues(pool, analysis.spends)
    return {
        "coin": None if assessment is None else coin_table(assessment, apart),
        "not_compared": f"Systems are compared with the coin from {LEAST_PROBLEMS} problems on"
        " that all of them have answered."
        if assessment is None and sum(row.competes for row in rows) > 1
        else None,
        "area": None
        if assessment is None
        else (window(assessment), shares(assessment.area_linear), shares(assessment.area_log)),
        "oracle_gap": None
        if assessment is None or assessment.oracle_gap is None
        else gain(assessment.oracle_gap),
        "heat": heat_table(analysis.subjects, analysis.levels),
        "hues": hue_of,
        "spends": spend_rows(analysis.spends, hue_of),
        "broken_budgets": adherence_rows(analysis.adherence),
        "kept_budgets": kept_budgets(analysis.adherence),
        "budget_findings": budget_findings(analysis.responses, analysis.attention),
        "choices": choice_groups(analysis.choices, analysis.diagnoses),
    }


def _tip(row: TableRow) -> list[str]:
    """What a point says when it is hovered over or focused: a heading, then lines."""
    point = row.point
    title = f"{point.system} · {row.budget_label}" if row.budget_label else point.system
    tip = [
        title,
        f"Accuracy\t{percent(point.accuracy)} {interval(point.accuracy_interval)}",
        f"List cost a problem\t{cost_words(point)}",
        f"Expert calls a problem\t{point.expert_call_ratio:.2f}",
    ]
    tip += [f"Above {name}\t{rough_percent(rate)}" for name, rate in row.violation_rates.items()]
    tip.append(f"Latency p50, p95\t{seconds(point.latency_p50_s)}, {seconds(point.latency_p95_s)}")
    tip.append(f"Episodes\t{point.episodes:,}")
    if point.oracle:
        tip.append("Sees the gold answers: a bound, no competitor")
    elif not point.is_ranked:
        tip.append(f"Costs {BASIS_WORDS[point.cost_basis]}: no competitor")
    elif row.on_frontier:
        tip.append("Not dominated")
    return tip


def _whiskers(rows: Sequence[TableRow]) -> list[tuple[float, float, float]]:
    """Interval ends and accuracy in per cent of the span of all intervals of the task."""
    low = min((row.point.accuracy_interval[0] for row in rows), default=0.0)
    high = max((row.point.accuracy_interval[1] for row in rows), default=1.0)
    span = (high - low) or 1.0

    def place(share: float) -> float:
        return round(4 + 92 * (share - low) / span, 2)

    return [
        (
            place(row.point.accuracy_interval[0]),
            place(row.point.accuracy),
            place(row.point.accuracy_interval[1]),
        )
        for row in rows
    ]


def _title(tasks: Iterable[str]) -> str:
    names = list(tasks)
    listing = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"Accuracy and cost on {listing}" if names else "An empty run"


def _lede(summary: Summary, manifest: Mapping[str, Any]) -> str:
    pool = manifest.get("pool")
    name = pool.get("name") if isinstance(pool, Mapping) else None
    created = manifest.get("created")
    parts = [
        f"Run {summary.run_id}",
        f"pool {name}" if name else None,
        f"made {str(created)[:10]}" if created else None,
    ]
    return " · ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Total:
    figure: str
    label: str
    exact: str | None = None
    is_warning: bool = False


def _totals(summary: Summary, rows: Sequence[TableRow], problems: int) -> list[_Total]:
    totals = [
        _Total(f"{problems:,}", "problem" if problems == 1 else "problems"),
        _Total(f"{len({row.point.system for row in rows}):,}", "systems"),
        _Total(f"{sum(row.point.episodes for row in rows):,}", "episodes"),
        _Total(f"{sum(row.point.calls for row in rows):,}", "calls"),
        _Total(display_usd(summary.list_cost_usd), "list cost", format_usd(summary.list_cost_usd)),
        _Total(
            display_usd(summary.billed_cost_usd),
            "billed by this run",
            format_usd(summary.billed_cost_usd),
        ),
    ]
    if summary.unsettled_attempts:
        totals.append(
            _Total(
                f"≤ {display_usd(summary.unsettled_usd)}",
                f"unsettled, {counted(summary.unsettled_attempts, 'attempt')}",
                format_usd(summary.unsettled_usd),
                is_warning=True,
            )
        )
    return totals
