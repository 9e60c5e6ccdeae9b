"""The report in a real browser: it asks for nothing, complains of nothing and can be used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from browser.chromium import Chromium, Page, chromium_path
from corl_bench.report.html import write_report
from report.sample_run import HOSTILE, SampleRun, sample_run

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(chromium_path() is None, reason="needs Chromium on PATH"),
]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chromium]:
    async with Chromium.launch(tmp_path) as running:
        yield running


def written(run: SampleRun, tmp_path: Path) -> str:
    run.write(tmp_path / "run")
    return write_report(tmp_path / "run").as_uri()


def assert_silent(page: Page, url: str) -> None:
    assert page.requests == [url]
    assert page.console == []
    assert page.errors == []


async def test_it_can_be_read_and_used_without_a_request_or_a_complaint(
    browser: Chromium, tmp_path: Path
) -> None:
    url = written(sample_run(problems=60), tmp_path)
    page = await browser.open(url)

    # A point tells its figures to the pointer and to the keyboard.
    assert await page.evaluate("document.querySelector('#tip').hidden")
    await page.hover(".picture.wide .mark.oracle")
    await page.wait_for("!document.querySelector('#tip').hidden")
    tip = await page.evaluate("document.querySelector('#tip').innerText")
    assert tip.startswith("oracle\n")
    assert "Accuracy" in tip
    assert "[" in tip
    assert "$" in tip
    lit = "document.querySelector('tr.lit th').textContent"
    assert await page.evaluate(lit) == "oracle"
    await page.press("Escape")
    assert await page.evaluate("document.querySelector('#tip').hidden")
    # Focus alone brings a point into view, and its figures stay with it.
    await page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    await page.resize(1280, 500)
    await page.evaluate("document.querySelector('.picture.wide .mark').focus()")
    await page.wait_for("document.querySelector('.mark:focus').getBoundingClientRect().top < 500")
    await page.resize(1280, 900)
    await page.wait_for("!document.querySelector('#tip').hidden")
    await page.press("Tab")
    tip = await page.evaluate("document.querySelector('#tip strong').textContent")
    assert tip == "single:nano"

    # The table sorts down, up and back.
    cost = ".points th:nth-child(5) button"
    first = "document.querySelector('.points tbody th').firstChild.textContent"
    assert await page.evaluate(first) == "single:qwen-7b"
    await page.click(cost)
    assert await page.evaluate(first) in ("single:reasoner", "controller")
    await page.click(cost)
    assert await page.evaluate(first) == "single:qwen-7b"
    ascending = "document.querySelector('.points th:nth-child(5)').getAttribute('aria-sort')"
    assert await page.evaluate(ascending) == "ascending"
    await page.click(cost)
    assert await page.evaluate(ascending) is None

    # A problem opens, and what a model wrote is text: nothing of it runs.
    await page.click("tr.entry .opener")
    await page.wait_for("document.querySelector('.detail')")
    shown = await page.evaluate("document.querySelector('.detail .call pre').textContent")
    assert shown == HOSTILE
    detail = await page.evaluate("document.querySelector('.detail').innerText")
    assert "<script>window.owned = true</script>" in detail
    assert "<b>bold</b>" in detail
    assert "merchant of synth" in detail
    assert (
        await page.evaluate("document.querySelectorAll('.detail :is(script, img, b)').length") == 0
    )
    assert await page.evaluate("typeof window.owned") == "undefined"
    assert "owned" not in await page.evaluate("document.title")

    # Another system of the same problem: its calls in order.
    await page.evaluate(
        "[...document.querySelectorAll('.chip')]"
        ".find((chip) => chip.textContent.includes('cascade')).click()"
    )
    calls = await page.evaluate(
        "[...document.querySelectorAll('.call header strong')].map((call) => call.textContent)"
    )
    assert calls[:2] == ["1  nano", "2  mid"]
    await page.press("Escape")
    assert await page.evaluate("document.querySelector('.detail')") is None

    # The keyboard walks over the verdicts.
    await page.press("ArrowRight")
    await page.press("ArrowRight")
    await page.press("ArrowDown")
    focused = "document.activeElement.closest('tr').dataset.problem"
    assert await page.evaluate(focused) == "1"
    assert (await page.evaluate("document.activeElement.title")).startswith("single:nano: ")
    await page.press("Enter")
    await page.wait_for("document.querySelector('.chip[aria-pressed=true]')")
    pressed = await page.evaluate("document.querySelector('.chip[aria-pressed=true]').textContent")
    assert pressed.endswith("single:nano")

    # Search, filters and pages.
    count = "document.querySelectorAll('tr.entry').length"
    assert await page.evaluate(count) == 50
    await page.click(".pager [name=next]")
    assert await page.evaluate(count) == 10
    await page.evaluate("document.querySelector('[name=query]').focus()")
    await page.type("synth-0031")
    assert await page.evaluate(count) == 1
    await page.evaluate(
        """(() => {
          const form = document.querySelector('.controls');
          form.query.value = '';
          form.column.value = '4';
          form.verdict.value = 'wrong';
          form.dispatchEvent(new Event('input'));
        })()"""
    )
    wrong = await page.evaluate(
        "[...document.querySelectorAll('tr.entry [data-column=\"4\"]')].map((c) => c.textContent)"
    )
    assert wrong
    assert set(wrong) == {"✗"}

    # A protected task shows verdicts, but no text.
    await page.evaluate(
        """(() => {
          const form = document.querySelector('.controls');
          form.reset();
          form.task.value = '1';
          form.dispatchEvent(new Event('input'));
        })()"""
    )
    assert await page.evaluate(count) == 12
    await page.click("tr.entry .opener")
    await page.wait_for("document.querySelector('.detail')")
    detail = await page.evaluate("document.querySelector('.detail').innerText")
    assert "not shown" in detail
    assert "merchant" not in detail

    assert_silent(page, url)


async def test_the_analysis_can_be_read_sorted_and_walked_through(
    browser: Chromium, tmp_path: Path
) -> None:
    url = written(sample_run(problems=40, restricted=False), tmp_path)
    page = await browser.open(url)

    # A table of its own sorts without moving another.
    table = ".part table.summary"
    first = f"document.querySelector({table!r}).tBodies[0].rows[0].cells[0].textContent"
    points = "document.querySelector('.points').tBodies[0].rows[0].dataset.row"
    assert await page.evaluate(first) == "random"
    await page.click(".part table.summary th:nth-child(4) button")
    values = await page.evaluate(
        f"[...document.querySelector({table!r}).tBodies[0].rows]"
        ".map((row) => Number(row.cells[3].dataset.value))"
    )
    assert values == sorted(values, reverse=True)
    assert await page.evaluate(points) == "0-0"

    # Every table that may be wider than the screen can be scrolled by keyboard, and has a name.
    assert await page.evaluate(
        "[...document.querySelectorAll('#results .scroller')]"
        ".every((s) => s.tabIndex === 0 && s.getAttribute('aria-label'))"
    )
    # A cell of the heat map is as strong as its share; bars fill their width.
    strong, weak = await page.evaluate(
        "['1.000', '0.250'].map((share) => getComputedStyle("
        "document.querySelector(`.heat .share[style='--share:${share}']`)).backgroundColor)"
    )
    assert strong != weak
    widths = await page.evaluate(
        "[...document.querySelectorAll('.stack svg')].map((bar) =>"
        " [...bar.children].reduce((sum, part) => sum + part.width.baseVal.value, 0))"
    )
    assert widths and all(abs(width - 100) < 0.01 for width in widths)
    # Frontier, band and coin are there, in the wide picture and in the narrow one.
    for line in ("frontier", "band", "coin"):
        assert await page.evaluate(f"document.querySelectorAll('.picture .{line}').length") == 2
    assert_silent(page, url)


async def test_the_policy_stops_what_escaping_would_have_missed(
    browser: Chromium, tmp_path: Path
) -> None:
    path = Path(written(sample_run(problems=2), tmp_path).removeprefix("file://"))
    hole = (
        "<script>window.owned = 'inline'</script><img src=x onerror=\"window.owned = 'handler'\">"
        "<img src='http://127.0.0.1:9/beacon.png'><script src='http://127.0.0.1:9/x.js'></script>"
    )
    page_text = path.read_text(encoding="utf-8")
    path.write_text(page_text.replace("</main>", f"{hole}</main>"), encoding="utf-8")
    page = await browser.open(path.as_uri())
    assert await page.evaluate("document.querySelectorAll('main > script').length") == 2
    assert await page.evaluate("typeof window.owned") == "undefined"
    refused = [line for line in page.console if "Content Security Policy" in line]
    assert len(refused) >= 4
    assert await page.evaluate("document.querySelectorAll('tr.entry').length") == 2


async def test_light_dark_and_a_phone(browser: Chromium, tmp_path: Path) -> None:
    url = written(sample_run(problems=20, samples=3), tmp_path)
    page = await browser.open(url)
    paper = "getComputedStyle(document.body).backgroundColor"
    await page.prefer("light")
    light = await page.evaluate(paper)
    await page.prefer("dark")
    dark = await page.evaluate(paper)
    assert light != dark
    await page.click("#theme")
    assert await page.evaluate(paper) == light
    await page.click("#theme")
    assert await page.evaluate(paper) == dark

    await page.resize(390, 844, mobile=True)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    visible = "[...document.querySelectorAll('.picture')].filter((p) => p.checkVisibility())"
    assert await page.evaluate(f"{visible}.every((p) => p.classList.contains('narrow'))")
    await page.hover(".picture.narrow .mark.reads")
    await page.wait_for("!document.querySelector('#tip').hidden")
    box = await page.evaluate(
        "(({ left, right }) => [left, right])"
        "(document.querySelector('#tip').getBoundingClientRect())"
    )
    assert box[0] >= 0
    assert box[1] <= 390
    await page.click("tr.entry .opener")
    await page.wait_for("document.querySelector('.detail')")
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert (
        await page.evaluate("document.querySelector('.detail').getBoundingClientRect().right")
        <= 390
    )
    assert await page.evaluate("document.querySelectorAll('.episode').length") == 3
    assert_silent(page, url)


async def test_long_names_widen_no_page(browser: Chromium, tmp_path: Path) -> None:
    run = sample_run(problems=4)
    long = "cascade:" + ">".join(f"a-model-of-a-long-name-{n}" for n in range(8))
    rows = tuple(
        replace(row, system=long) if row.system == "random" else row for row in run.summary.rows
    )
    episodes = [
        replace(episode, system=long) if episode.system == "random" else episode
        for episode in run.episodes
    ]
    renamed = replace(run, summary=replace(run.summary, rows=rows), episodes=episodes)
    table = "document.querySelector('.summary')"
    widths = f"[{table}.scrollWidth, {table}.parentElement.clientWidth]"
    page = await browser.open(written(run, tmp_path))
    short, _ = await page.evaluate(widths)
    page = await browser.open(written(renamed, tmp_path))
    long_px, room = await page.evaluate(widths)
    # With wide fonts alone, the figures need more room than there is, whatever the names.
    assert long_px <= max(short, room)
    assert await page.evaluate("document.documentElement.scrollWidth") == 1280
    await page.resize(390, 844, mobile=True)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_ten_thousand_episodes_stay_usable(browser: Chromium, tmp_path: Path) -> None:
    run = sample_run(problems=780, restricted=False)
    assert len(run.episodes) > 10_000
    url = written(run, tmp_path)
    page = await browser.open(url)
    await page.wait_for("document.querySelectorAll('tr.entry').length === 50")
    # Pages and parts keep what the browser holds small, however large the run is.
    assert await page.evaluate("document.querySelectorAll('*').length") < 5000
    await page.evaluate("document.querySelector('[name=query]').focus()")
    await page.type("synth-0779")
    await page.wait_for("document.querySelectorAll('tr.entry').length === 1")
    await page.click("tr.entry .opener")
    last = next(e for e in run.episodes if e.problem_id == "synth-0779")
    shown = await page.evaluate("document.querySelector('.detail .call pre').textContent")
    assert shown == last.response
    assert_silent(page, url)


async def test_events_stand_with_their_episode(browser: Chromium, tmp_path: Path) -> None:
    plain = sample_run(problems=3)
    event = "invalid turn: '<img src=x onerror=alert(1)>' is no expert"
    episodes = [replace(episode, events=(event, "turn 2 failed")) for episode in plain.episodes]
    rows = tuple(replace(point, events=6) for point in plain.summary.rows)
    summary = replace(plain.summary, rows=rows)
    url = written(replace(plain, episodes=episodes, summary=summary), tmp_path)
    page = await browser.open(url)
    headings = await page.evaluate("document.querySelector('table.points thead').textContent")
    assert "Events" in headings
    await page.click("tr.entry .opener")
    await page.wait_for("document.querySelector('.detail .events')")
    told = "[...document.querySelector('.events').children].map((item) => item.textContent)"
    assert await page.evaluate(told) == [event, "turn 2 failed"]
    assert_silent(page, url)


async def test_ten_thousand_episodes_stay_a_page_that_can_be_used(
    browser: Chromium, tmp_path: Path
) -> None:
    run = sample_run(problems=800, restricted=False)
    assert len(run.episodes) >= 10_000
    url = written(run, tmp_path)
    page = await browser.open(url)

    # What is on the page does not grow with the run: fifty problems at a time, texts not at all.
    nodes = "document.querySelectorAll('*').length"
    assert await page.evaluate("document.querySelectorAll('tr.entry').length") == 50
    at_first = await page.evaluate(nodes)
    assert at_first < 5_000

    # The last page and its last problem are as near as the first.
    for _ in range(15):
        await page.evaluate("document.querySelector('.pager button[name=next]').click()")
    turned = "document.querySelector('.pager span').textContent"
    assert await page.evaluate(turned) == "Page 16 of 16"
    await page.evaluate("[...document.querySelectorAll('tr.entry .opener')].at(-1).click()")
    await page.wait_for("document.querySelector('.detail')")
    assert "merchant of synth" in await page.evaluate(
        "document.querySelector('.detail').textContent"
    )
    assert await page.evaluate(nodes) < at_first + 500
    assert_silent(page, url)
