"""Puts a board's site together: pages, files to download, and what the pages load.

Invariant: the same standings give the same bytes. A build replaces what an earlier one wrote and
removes what is gone from the board; of other files in the folder (a `CNAME`, say) it touches
none. `site.json` lists what is the site's own.

    build_site(standings, Path("site"))     # site/index.html
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import write_json, write_text
from corl_bench.leaderboard.edges import is_web_address
from corl_bench.leaderboard.site.drilldown import Drilldown, drill_down
from corl_bench.leaderboard.site.picture import SCALES, Picture, family, lay_out
from corl_bench.leaderboard.site.tables import board_csv, episodes_csv
from corl_bench.leaderboard.site.wording import (
    LONGEST_PROSE,
    headlines,
    points_span,
    printable,
    rank_span,
    row_name,
    share_span,
    shared_ranks,
    signed_points,
    status_counts,
    usd,
    usd_span,
    versus,
)
from corl_bench.leaderboard.standings import Entrant, Row, Standings, TaskStanding
from corl_bench.metrics.breakdown import spend_by_expert
from corl_bench.metrics.inference.estimate import Estimate
from corl_bench.money.amounts import format_usd
from corl_bench.report.axes import NARROW, WIDE
from corl_bench.report.figures import counted, percent, rough_percent
from corl_bench.report.pages import open_templates, page_file
from corl_bench.report.points import FAMILY_TITLES
from corl_bench.results import EpisodeRecord
from corl_bench.tasks import list_tasks
from corl_bench.text import well_formed

if TYPE_CHECKING:
    from jinja2 import Environment

SITE_SCHEMA = "corl-bench/site@1"
SITE_NAME = "site.json"
_PACKAGE = "corl_bench.leaderboard.site"
SHARED_SCRIPTS = ("page.js", "chart.js", "drilldown.js")
"""Scripts that reports have, too."""
OWN_SCRIPTS = ("index.js", "entry.js")
POLICY = (
    "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src data:;"
    " base-uri 'none'; form-action 'none'"
)
"""What a page may load: style and scripts of its own site, on a host (`self`) or from disk."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", re.ASCII)


def build_site(standings: Standings, out: Path) -> Path:
    """Writes the site of a board.

    Args:
        standings: of the board.
        out: folder of the site; made where it is missing. A folder that holds anything and is
            no site is refused.

    Returns:
        The page to open, `index.html`.

    Raises:
        ConfigError: `out` holds other things, the id of an entry that is ranked is no file name, or
            a file of episodes is gone or broken.
        StorageError: a file cannot be written.
    """
    before = _own_files(out)
    pages = _pages(standings.entries)
    written: set[str] = set()
    listed = before
    try:
        out.mkdir(parents=True, exist_ok=True)
        try:
            for name, content in _files(standings, pages):
                path = out / name
                path.parent.mkdir(parents=True, exist_ok=True)
                written.add(name)
                if isinstance(content, Path):
                    path.write_bytes(content.read_bytes())
                else:
                    write_text(path, content)
            _remove(out, before - written)
            listed = written
        finally:
            # What a build that broke off has written is still the site's own.
            files = sorted(listed | written)
            write_json(out / SITE_NAME, {"schema": SITE_SCHEMA, "files": files})
    except OSError as error:
        raise StorageError(f"cannot write the site {out}: {error.strerror}") from error
    return out / "index.html"


def _pages(entries: Sequence[Entrant]) -> frozenset[str]:
    """Ids of the entries that have a page.

    An id names the page, also on systems that take `A` and `a` for one file. A failed entry whose
    id cannot is listed without one, so that one bad file name does not stop a board.
    """
    holders = Counter(entrant.id.casefold() for entrant in entries)
    pages = set()
    for entrant in entries:
        if _ID.fullmatch(entrant.id) and holders[entrant.id.casefold()] == 1:
            pages.add(entrant.id)
        elif entrant.status != "failed":
            raise ConfigError(
                f"entry {entrant.id[:60]!r}: an id names the entry's page: letters, digits, dots,"
                " hyphens, underscores and pluses, not those of another in other case; rename it"
            )
    return frozenset(pages)


def _own_files(out: Path) -> set[str]:
    """What an earlier build wrote, as far as its list can be trusted to stay in the folder."""
    listing = out / SITE_NAME
    if not listing.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out} holds other things: name a new or empty folder with --out")
        return set()
    try:
        data = json.loads(listing.read_text(encoding="utf-8"))
        if data["schema"] != SITE_SCHEMA:
            raise ValueError(f"its schema is {data['schema']}")
        names = [str(name) for name in data["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{listing} is no list of a site's files ({error}): name another folder with --out"
        ) from None
    return {
        name
        for name in names
        if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
    }


def _remove(out: Path, names: Iterable[str]) -> None:
    for name in sorted(names):
        path = out / name
        path.unlink(missing_ok=True)
        if path.parent != out and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _files(standings: Standings, pages: frozenset[str]) -> Iterator[tuple[str, str | Path]]:
    """All files of the site by name: text, or a file to copy."""
    environment = _environment()
    standings = replace(standings, tasks=(*standings.tasks, *_reported_alone(standings)))
    pictures = {task.name: _pictures(standings, task) for task in standings.tasks}
    yield "index.html", _index_page(environment, standings, pages, pictures)
    yield "board.csv", board_csv(standings)
    yield "assets/site.css", page_file("page.css") + page_file("site.css", _PACKAGE)
    for script in SHARED_SCRIPTS:
        yield f"assets/{script}", page_file(script)
    for script in OWN_SCRIPTS:
        yield f"assets/{script}", page_file(script, _PACKAGE)
    tasks = {task.name: task for task in standings.tasks}
    for entrant in standings.entries:
        if entrant.id not in pages:
            continue
        # What a failed entry holds is not what it says, and may not even be readable.
        episodes = () if entrant.status == "failed" else entrant.episodes()
        drilldown = drill_down(episodes, standings.tasks, standings.budgets)
        stem, folder = f"entries/{entrant.id}", f"episodes/{entrant.id}"
        yield f"{stem}.html", _entry_page(environment, standings, entrant, drilldown, pictures)
        if not drilldown.episodes:
            continue
        yield f"{stem}.csv", episodes_csv(drilldown.episodes, tasks)
        yield f"{folder}/index.js", drilldown.index_script()
        for number, script in enumerate(drilldown.part_scripts()):
            yield f"{folder}/part-{number}.js", script
        if entrant.file is not None and not drilldown.holds_protected_texts:
            yield f"{stem}.jsonl.zst", entrant.file


def _reported_alone(standings: Standings) -> Iterator[TaskStanding]:
    """Tasks that the literature reports on and the board does not measure."""
    measured = {task.name for task in standings.tasks}
    titles = {spec.name: spec.title for spec in list_tasks()}
    for name in dict.fromkeys(row.task for row in standings.reported):
        if name not in measured:
            yield TaskStanding(
                name=name,
                title=titles.get(name, name),
                digest="",
                licence="",
                redistributable=False,
                n_problems=0,
                problems={},
                frontier=None,
                band=None,
                coin=None,
                coin_labels=(),
            )


def _environment() -> Environment:
    environment = open_templates(
        _PACKAGE,
        counted=counted,
        exact_usd=format_usd,
        percent=percent,
        points=signed_points,
        points_span=points_span,
        printable=printable,
        rank_span=rank_span,
        rough_percent=rough_percent,
        row_name=row_name,
        share_span=share_span,
        status_counts=status_counts,
        usd=usd,
        usd_span=usd_span,
    )
    environment.finalize = lambda value: printable(value, LONGEST_PROSE)
    environment.tests["web_address"] = is_web_address
    environment.globals.update(
        families=FAMILY_TITLES,
        family_of=family,
        places_of_share=_places_of_share,
        policy=POLICY,
        versus=versus,
    )
    return environment


def _pictures(standings: Standings, task: TaskStanding) -> tuple[Picture, ...]:
    rows = standings.of_task(task.name)
    reported = [row for row in standings.reported if row.task == task.name]
    if not rows and not any(row.cost_usd is not None for row in reported):
        return ()
    return tuple(
        lay_out(task, rows, reported, standings.budgets, frame, scale)
        for scale in SCALES
        for frame in (WIDE, NARROW)
    )


def _index_page(
    environment: Environment,
    standings: Standings,
    pages: frozenset[str],
    pictures: dict[str, tuple[Picture, ...]],
) -> str:
    sections = []
    for task in standings.tasks:
        rows = standings.of_task(task.name)
        reported = [row for row in standings.reported if row.task == task.name]
        if rows or reported:
            sections.append(
                {
                    "task": task,
                    "rows": rows,
                    "reported": reported,
                    "shared": shared_ranks(rows),
                    "priced": bool(rows) or any(row.cost_usd is not None for row in reported),
                    "headlines": headlines(task, rows),
                    "pictures": pictures[task.name],
                    "families": _families(pictures[task.name]),
                    "whisker": _whisker([row.accuracy for row in rows]),
                }
            )
    return _rendered(
        environment,
        "index.html.j2",
        standings=standings,
        pages=pages,
        sections=sections,
        refused=[entrant for entrant in standings.entries if entrant.status == "failed"],
        entrants={entrant.id: entrant for entrant in standings.entries},
        told=[b.name for b in standings.budgets if any(r.budget == b.name for r in standings.rows)],
    )


def _entry_page(
    environment: Environment,
    standings: Standings,
    entrant: Entrant,
    drilldown: Drilldown,
    pictures: dict[str, tuple[Picture, ...]],
) -> str:
    sections = []
    for task in standings.tasks:
        everyone = standings.of_task(task.name)
        rows = sorted(
            (row for row in everyone if row.entry == entrant.id),
            key=lambda row: row.budget_usd or 0,
        )
        if rows:
            sections.append(
                {
                    "task": task,
                    "rows": rows,
                    "ranked": sum(row.rank is not None for row in everyone),
                    "shared": shared_ranks(everyone),
                    "pictures": [p for p in pictures[task.name] if p.scale == "log"],
                    "families": _families(pictures[task.name]),
                    "whisker": _whisker([row.accuracy for row in everyone]),
                    "groups": drilldown.groups[task.name],
                    "spends": _spends(rows, [e for e in drilldown.episodes if e.task == task.name]),
                }
            )
    return _rendered(
        environment,
        "entry.html.j2",
        standings=standings,
        entrant=entrant,
        sections=sections,
        episodes=len(drilldown.episodes),
        has_raw=entrant.file is not None and not drilldown.holds_protected_texts,
        withheld=[
            task.name
            for task in standings.tasks
            if not task.redistributable
            and any(episode.task == task.name for episode in drilldown.episodes)
        ],
    )


def _rendered(environment: Environment, template: str, **values: Any) -> str:
    return well_formed(environment.get_template(template).render(**values))


def _families(pictures: Sequence[Picture]) -> list[str]:
    drawn = {mark.family for picture in pictures for mark in picture.marks}
    return [name for name in FAMILY_TITLES if name in drawn]


def _whisker(estimates: Sequence[Estimate]) -> Callable[[Estimate], tuple[float, float, float]]:
    """Places low end, estimate and high end in per cent of the span of all the intervals."""
    low = min((estimate.low for estimate in estimates), default=0.0)
    span = max((estimate.high for estimate in estimates), default=1.0) - low or 1.0

    def place(share: float) -> float:
        return round(4 + 92 * (share - low) / span, 2)

    return lambda estimate: (place(estimate.low), place(estimate.value), place(estimate.high))


def _places_of_share(estimate: Estimate) -> tuple[float, float, float]:
    """Low end, estimate and high end on a scale from nothing to all."""
    low, value, high = (
        round(100 * share, 2) for share in (estimate.low, estimate.value, estimate.high)
    )
    return low, value, high


@dataclass(frozen=True, slots=True)
class _Share:
    """What one expert had of a row's list cost."""

    share: float
    cost_usd: Decimal
    calls: int


def _spends(
    rows: Sequence[Row], episodes: Sequence[EpisodeRecord]
) -> list[tuple[str, list[_Share | None]]]:
    """By expert its part of each row's list cost; experts in the order of their names."""
    by_budget = {spend.budget: spend for spend in spend_by_expert(episodes)}
    experts = sorted({expert for spend in by_budget.values() for expert in spend.by_expert})

    def part(expert: str, row: Row) -> _Share | None:
        spend = by_budget.get(row.budget)
        if spend is None or expert not in spend.by_expert:
            return None
        cost_usd = spend.by_expert[expert]
        share = float(cost_usd / spend.total_usd) if spend.total_usd else 0.0
        return _Share(share, cost_usd, row.calls_by_expert.get(expert, 0))

    return [(expert, [part(expert, row) for row in rows]) for expert in experts]
