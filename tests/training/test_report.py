from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from browser.chromium import Chromium, chromium_path
from corl_bench.errors import ConfigError, StorageError
from corl_train.report.axes import dollar_axis, iteration_axis, linear_axis
from corl_train.report.chart import FRAME, MOST_MARKS, MOST_PLACES, Panel, Series, lay_out, thin
from corl_train.report.findings import tell
from corl_train.report.html import report_run
from corl_train.report.panels import by_budget, by_expert, of_update
from corl_train.report.samples import LONGEST_TEXT, MOST_GROUPS, shown_samples
from corl_train.runs.files import read_metrics, read_samples
from training.made_up_run import HOSTILE, line, lines, sample, score, write_run

needs_chromium = pytest.mark.skipif(chromium_path() is None, reason="needs Chromium on PATH")


def good_run(folder: Path, count: int = 12, **data: Any) -> Path:
    rows = lines(count)
    for row in rows[4::5]:
        row["validation"] = [score("low"), score("high", reward=row["iteration"] / 100)]
    return write_run(folder, rows, [sample(5), sample(10)], **data)


class Text(HTMLParser):
    """What a page says, and the tags that it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.said))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style"):
            self.said.append(data)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass


def page_of(folder: Path, **options: Any) -> Text:
    return Text(report_run(folder, **options).read_text(encoding="utf-8"))


# ── What the folder holds ────────────────────────────────────────────────────────────────────
def test_of_an_iteration_that_was_made_twice_the_last_counts(tmp_path: Path) -> None:
    rows = [line(1), line(2, kl=0.1), line(3), line(2, kl=0.9)]
    folder = write_run(tmp_path / "run", rows, [sample(5, verdict="wrong"), sample(5)])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"iteration":4,"cpu_s"')  # torn by a kill
    read = read_metrics(folder)
    assert [row["iteration"] for row in read] == [1, 2, 3]
    assert dict(read[1])["kl"] == 0.9
    assert [one["verdict"] for one in read_samples(folder)] == ["correct"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"config.json": None}, "holds no training run"),
        ({"config.json": "[]"}, "not the configuration"),
        ({"config.json": "{"}, "not JSON"),
        ({"metrics.jsonl": None}, "no iteration yet"),
        ({"metrics.jsonl": '{"iteration":1'}, "no iteration yet"),
        ({"metrics.jsonl": "{}\n"}, r"metrics\.jsonl:1: iteration: field required"),
        ({"metrics.jsonl": "nonsense\n{}\n"}, r"metrics\.jsonl:1: not JSON"),
        ({"metrics.jsonl": "[]\n"}, r"metrics\.jsonl:1: not a JSON object"),
        ({"samples.jsonl": '{"iteration":1}\n'}, r"samples\.jsonl:1: budget: field required"),
        ({"samples.jsonl": '{"iteration":"1"}\n'}, r"samples\.jsonl:1: iteration: .* integer"),
    ],
)
def test_a_broken_run_is_one_line(damage: dict[str, str | None], said: str, tmp_path: Path) -> None:
    folder = good_run(tmp_path / "run")
    for name, text in damage.items():
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        report_run(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no training run"):
        report_run(tmp_path / "nosuch")
    folder = good_run(tmp_path / "run")
    with pytest.raises(StorageError, match="cannot write"):
        report_run(folder, tmp_path / "nosuch" / "page.html")


def test_reporting_needs_no_torch(tmp_path: Path) -> None:
    folder = good_run(tmp_path / "run")
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from corl_train.report.html import report_run\n"
        f"print(report_run(Path({str(folder)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == str(folder / "report.html"), done.stderr


# ── Charts ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "figures", [[0.0], [0.3, 0.7], [-2.5, 4.0], [-0.02], [1e-9], [5e6, 1.0], [0.1] * 9]
)
def test_a_linear_axis_holds_zero_and_everything(figures: list[float]) -> None:
    axis = linear_axis(figures, 200, 20)
    assert all(20 <= axis.at(figure) <= 200 for figure in [0.0, *figures])
    assert "0" in [tick.label for tick in axis.ticks]
    assert 2 <= len(axis.ticks) <= 8
    labels = [float(tick.label) for tick in axis.ticks]
    assert labels == sorted(labels)
    assert [axis.at(step) for step in labels] == pytest.approx([t.at for t in axis.ticks], abs=0.02)


def test_an_axis_of_shares_ends_at_one() -> None:
    axis = linear_axis([0.99], 200, 20, ceiling=1.0)
    assert axis.at(1.0) == 20
    assert axis.ticks[-1].label == "1"


@pytest.mark.parametrize("costs", [[0.0], [0.001], [0.0, 0.002], [1e-7, 3.0], [0.0003, 0.02]])
def test_a_dollar_axis_holds_everything(costs: list[float]) -> None:
    axis = dollar_axis(costs, 200, 20)
    assert all(20 <= axis.at(cost) <= 200 for cost in costs)
    assert axis.ticks
    assert all(20 <= tick.at <= 200 for tick in axis.ticks)


@pytest.mark.parametrize("last", [1, 2, 7, 60, 999, 25_000])
def test_iterations_have_whole_steps(last: int) -> None:
    axis = iteration_axis(last, 50, 300)
    assert axis.at(last) == 300
    assert 2 <= len(axis.ticks) <= 8
    assert all("." not in tick.label for tick in axis.ticks)


def test_a_long_run_is_drawn_as_means() -> None:
    assert thin([(1, 0.0), (2, 1.0), (3, 4.0), (4, 6.0), (5, 9.0)], 2) == [
        (1.5, 0.5), (3.5, 5.0), (5.0, 9.0),
    ]  # fmt: skip
    points = [(float(i), math.sin(i)) for i in range(1, 5001)]
    panel = Panel("X", "", [Series("a", 0, points, points[::5])], str, str)
    picture = lay_out(panel, last_iteration=5000)
    (curve,) = picture.curves
    assert curve.path.count("L") < MOST_PLACES
    assert len(curve.marks) <= MOST_MARKS
    assert (picture.iterations_a_place, picture.validations_a_mark) == (21, 34)


def test_names_stand_apart_and_inside() -> None:
    series = [Series(f"expert-{i}", i, [(1, 0.5), (9, 0.5)]) for i in range(6)]
    picture = lay_out(Panel("X", "", series, str, str), last_iteration=9)
    places = sorted(curve.label_y for curve in picture.curves)
    assert all(b - a >= 12 for a, b in pairwise(places))
    assert FRAME.top <= places[0] <= places[-1] <= FRAME.height - FRAME.bottom


def test_a_single_iteration_is_a_dot_and_no_number_is_no_point() -> None:
    rows = [
        line(
            1,
            value_error=math.nan,
            entropy=None,
            new_figure=2.5,
            budgets={"low": {"reward": math.nan}},
        )
    ]
    titles = [panel.title for panel in of_update(rows)]
    assert "Value error" not in titles
    assert "Entropy" not in titles
    assert "new_figure" in titles
    assert "Reward" not in [panel.title for panel in by_budget(rows, {}, ())]
    picture = lay_out(of_update(rows)[0], last_iteration=1)
    assert picture.curves[0].path.endswith("h0")


def test_every_asked_figure_has_a_chart() -> None:
    rows = lines(3)
    titles = {panel.title for panel in [*by_budget(rows, {}, ("self",)), *of_update(rows)]}
    assert titles >= {
        "Reward", "Accuracy", "Mean cost", "Call ratio", "Over the budget", "KL to the reference",
        "Entropy", "Value error", "Groups without a reward",
    }  # fmt: skip
    assert [panel.title for panel in by_expert(rows, ("self",))] == [
        "Budget low", "Budget medium", "Budget high",
    ]  # fmt: skip
    (calls,) = [panel for panel in by_budget(rows, {}, ("self",)) if panel.title == "Call ratio"]
    assert calls.series[0].points[0][1] == pytest.approx(1.2)  # own attempts are no calls


# ── Findings and rollouts ────────────────────────────────────────────────────────────────────
def test_findings_become_spans() -> None:
    def found(kind: str, what: str, **where: str) -> dict[str, Any]:
        return {"kind": kind, "what": what, "advice": "…", **where}

    rows: list[Any] = lines(6)
    for place in (0, 1, 4):
        rows[place]["findings"] = [found("format-collapse", f"seen at {place}")]
    for place in (3, 4, 5):
        rows[place].setdefault("findings", []).append(
            found("all-zero-reward", "none", budget="low")
        )
    zero, collapse = tell(rows)
    assert (zero.title, zero.when, zero.holds) == (
        "all-zero-reward at low",
        "iteration 4 to the end",
        True,
    )
    assert (collapse.when, collapse.holds) == ("iterations 1–2, 5", False)
    assert collapse.what == "seen at 4"


def test_a_few_validations_stand_for_many() -> None:
    many: list[Any] = [sample(i) for i in range(1, 400)]
    groups = shown_samples(many)
    assert len(groups) == MOST_GROUPS
    assert (groups[0].iteration, groups[-1].iteration) == (1, 399)
    long: Any = sample(1, pieces=[{"text": f"begin{'x' * 3 * LONGEST_TEXT}end", "own": True}])
    (group,) = shown_samples([long])
    text = group.samples[0]["pieces"][0]["text"]
    assert len(text) < LONGEST_TEXT + 100
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "characters left out" in text


# ── The page ─────────────────────────────────────────────────────────────────────────────────
def test_the_page_says_what_the_run_was(tmp_path: Path) -> None:
    page = page_of(good_run(tmp_path / "demo"))
    assert "Training run demo" in page.text
    assert "seed 7" in page.text
    assert "Simulated." in page.text
    assert "of 60 iterations 12 " in page.text
    assert "training › clip 0.2" in page.text
    assert "3.0 min" in page.text  # 178 CPU seconds
    assert "$0.0006" in page.text
    assert "Nothing was found wrong in any iteration." in page.text
    assert "at iteration 10, the best by" in page.text


def test_the_warm_start_may_be_the_best(tmp_path: Path) -> None:
    zero = {
        "iteration": 0, "cpu_s": 5.0, "train": [],
        "validation": [score("low", reward=0.9), score("high", reward=0.9)],
    }  # fmt: skip
    later = line(1, validation=[score("low"), score("high")])
    page = page_of(write_run(tmp_path / "alone", [zero]))
    assert "of 60 iterations 0 " in page.text
    page = page_of(write_run(tmp_path / "run", [zero, later]))
    assert "at iteration 0, the best by" in page.text


def test_it_needs_nothing_else_and_runs_nothing_else(tmp_path: Path) -> None:
    page = page_of(good_run(tmp_path / "run"))
    for tag, attributes in page.tags:
        assert tag not in ("img", "iframe", "object", "base", "form")
        assert tag != "link" or attributes["href"] == "data:,"
        assert not {"src", "onclick", "onload", "action"} & set(attributes)
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")


def test_own_tokens_and_read_tokens_are_told_apart(tmp_path: Path) -> None:
    path = report_run(good_run(tmp_path / "run"))
    items = re.findall(
        r'<li( class="own")?><span class="who">(\w+)</span><pre>(.*?)</pre>',
        path.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert [(bool(own), who) for own, who, _ in items[:4]] == [
        (False, "read"), (True, "said"), (False, "read"), (True, "said"),
    ]  # fmt: skip
    assert items[1][2] == "&lt;call expert=&#34;nano&#34;&gt;&lt;/call&gt;"
    assert "masked out of every loss" in Text(path.read_text(encoding="utf-8")).text


def test_it_does_not_claim_a_mask_that_the_run_has_not(tmp_path: Path) -> None:
    folder = good_run(tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["training"]["mask_experts"] = False
    (folder / "config.json").write_text(json.dumps(config))
    page = page_of(folder)
    assert "masked out" not in page.text
    assert "trains as well" in page.text


def test_protected_texts_stay_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    folder = good_run(tmp_path / "run", validation="aime24")
    page = page_of(folder)
    assert "What is 2:3?" not in page.text
    assert "aime24 hold protected texts" in page.text
    page = page_of(folder, include_restricted=True)
    assert "What is 2:3?" in page.text
    assert "do not publish" in page.text


def test_a_pool_that_is_gone_is_said_and_no_error(tmp_path: Path) -> None:
    page = page_of(good_run(tmp_path / "run", pool=str(tmp_path / "gone.toml")))
    assert "Pool not found." in page.text
    assert "Simulated." not in page.text


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = good_run(tmp_path / "run")
    first = report_run(folder).read_bytes()
    assert report_run(folder, tmp_path / "again.html").read_bytes() == first


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chromium]:
    async with Chromium.launch(tmp_path) as running:
        yield running


@pytest.mark.chromium
@needs_chromium
async def test_it_can_be_read_in_a_browser(browser: Chromium, tmp_path: Path) -> None:
    source = good_run(tmp_path / "source")
    rows = [json.loads(row) for row in (source / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row["findings"] = [{"kind": HOSTILE, "what": HOSTILE, "advice": HOSTILE}]
        for one in row["train"]:
            one["budget"] += HOSTILE
            one["calls"] |= {HOSTILE: 0.3}
        row[HOSTILE] = 1.0
    folder = write_run(
        tmp_path / "run", rows, [sample(5, problem=HOSTILE, verdict=HOSTILE, budget=HOSTILE)]
    )
    url = report_run(folder).as_uri()
    page = await browser.open(url)
    assert "<script>" in await page.evaluate("document.querySelector('.pieces').innerText")
    assert await page.evaluate("typeof window.owned") == "undefined"
    assert await page.evaluate("document.querySelectorAll('img').length") == 0

    # A chart tells its figures to the pointer and to the keyboard.
    hidden = "document.querySelector('#tip').hidden"
    assert await page.evaluate(hidden)
    await page.hover(".plot")
    await page.wait_for("!document.querySelector('#tip').hidden")
    assert (await page.evaluate("document.querySelector('#tip').innerText")).startswith("Iteration")
    await page.press("Escape")
    assert await page.evaluate(hidden)
    await page.evaluate("document.querySelector('.plot').focus()")
    await page.press("ArrowRight")
    title = "document.querySelector('#tip strong').textContent"
    assert await page.evaluate(title) == "Iteration 1"
    await page.press("ArrowRight")
    assert await page.evaluate(title) == "Iteration 2"
    await page.press("ArrowLeft")
    assert await page.evaluate(title) == "Iteration 1"

    # Nothing spills out of a phone's screen.
    for width in (1280, 390):
        await page.resize(width, 900, mobile=width < 500)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.requests == [url]
    assert page.console == []
    assert page.errors == []


def test_a_reward_that_is_not_the_gate_is_named_in_its_chart() -> None:
    rows = [line(1, validation=[score("low")])]
    assert "gate" not in by_budget(rows, {}, ())[0].about
    assert "soft reward" in by_budget(rows, {}, (), reward="soft")[0].about


def test_a_run_that_was_only_warmed_up_shows_its_validation(tmp_path: Path) -> None:
    row = {"iteration": 0, "cpu_s": 9.0, "train": [], "validation": [score("low")]}
    (reward, *_) = by_budget([row], {}, ())
    assert [one.name for one in reward.series] == ["low"] and reward.series[0].marks
    assert "By budget" in page_of(write_run(tmp_path / "run", [row])).text
