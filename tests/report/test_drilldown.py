from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from corl_bench.report.drilldown import (
    LONGEST_TEXT,
    PROBLEMS_PER_PART,
    drill_down,
    embeddable,
    natural_order,
    shown_tasks,
)
from corl_bench.results import CallRecord
from report.sample_run import HOSTILE, SampleRun, sample_run


@pytest.fixture(scope="module")
def run() -> SampleRun:
    return sample_run(problems=45)


def drilled(run: SampleRun, **options: bool):
    return drill_down(run.summary, run.episodes, run.problems, run.golds, **options)


def test_every_episode_is_there_once_in_an_order_of_its_own(run: SampleRun) -> None:
    index, parts = drilled(run)
    assert sum(len(part["episodes"]) for part in parts) == len(run.episodes)
    assert len(parts) == -(-57 // PROBLEMS_PER_PART)
    shuffled = list(run.episodes)
    random.Random(3).shuffle(shuffled)
    again = drill_down(run.summary, shuffled, run.problems, run.golds)
    assert again == (index, parts)


def test_an_episode_is_found_in_the_part_of_its_problem(run: SampleRun) -> None:
    index, parts = drilled(run)
    start = 0
    for number, part in enumerate(parts):
        own = index["episodes"]["problem"][start : start + len(part["episodes"])]
        assert {problem // index["problemsPerPart"] for problem in own} == {number}
        start += len(part["episodes"])


def test_figures_and_texts_are_those_of_the_episode(run: SampleRun) -> None:
    index, parts = drilled(run)
    wanted = next(e for e in run.episodes if e.system.startswith("cascade") and e.task == "synth")
    column = index["columns"].index({"system": wanted.system, "budget": None, "oracle": False})
    place = index["episodes"]["column"].index(column)
    record = parts[0]["episodes"][place]
    assert record["cost"] == format(wanted.list_cost_usd, "f").rstrip("0")
    assert record["over"] == ["low"]
    assert [call["expert"] for call in record["calls"]] == [c.expert for c in wanted.calls]
    assert parts[0]["texts"][record["response"]] == wanted.response


def test_events_stand_with_their_episode_where_texts_may(run: SampleRun) -> None:
    episodes = [replace(e, events=("invalid turn: </script>",)) for e in run.episodes]
    _, parts = drill_down(run.summary, episodes, run.problems, run.golds)
    records = [record for part in parts for record in part["episodes"]]
    told = {tuple(record["events"]) for record in records if "events" in record}
    assert told == {("invalid turn: </script>",)}
    withheld = [record for record in records if "events" not in record]
    assert len(withheld) == sum(e.task != "synth" for e in run.episodes) > 0
    assert not any("events" in record for part in drilled(run)[1] for record in part["episodes"])


def test_a_reply_that_systems_share_is_held_once(run: SampleRun) -> None:
    _, parts = drilled(run)
    for part in parts:
        assert len(part["texts"]) == len(set(part["texts"]))
    calls = sum(len(e.calls) for e in run.episodes)
    assert sum(len(part["texts"]) for part in parts) < calls / 2


def test_protected_texts_stay_out(run: SampleRun) -> None:
    index, parts = drilled(run)
    rank = [task["name"] for task in index["tasks"]].index("contest")
    assert [task["shown"] for task in index["tasks"]] == [True, False]
    rows = [row for row in index["problems"] if row[0] == rank]
    assert len(rows) == 12
    assert all(row[4] is None and row[5] is None for row in rows)
    everything = json.dumps([index, parts])
    for episode in run.episodes:
        if episode.task == "contest" and episode.response and len(episode.response) > 60:
            assert json.dumps(episode.response)[1:-1] not in everything
    assert "merchant of contest" not in everything
    assert "merchant of synth" in everything
    # The verdict and the extracted answer are facts; why it is wrong would quote the gold.
    start = index["episodes"]["problem"].index(index["problems"].index(rows[0]))
    flat = [record for part in parts for record in part["episodes"]]
    wrong = [
        record
        for record, verdict in zip(flat[start:], index["episodes"]["verdict"][start:], strict=True)
        if index["verdicts"][verdict] == "wrong"
    ]
    assert wrong
    assert all(record["answer"] and not record["detail"] for record in wrong)


def test_of_protected_problems_neither_prose_nor_reasons_are_told(run: SampleRun) -> None:
    call = CallRecord(expert="nano", model="m", status="bad_request", detail="cannot read: QUOTE")
    protected = next(e for e in run.episodes if e.task == "contest")
    episodes = [
        replace(protected, verdict="error", answer=None, detail="QUOTE", calls=(call,)),
        replace(protected, sample=1, verdict="wrong", answer="QUOTE " * 20, detail="gold QUOTE"),
        replace(protected, sample=2, verdict="wrong", answer="017", detail="gold QUOTE"),
    ]
    index, parts = drill_down(run.summary, episodes, run.problems, run.golds)
    assert "QUOTE" not in json.dumps([index, parts])
    answers = [record["answer"] for record in parts[0]["episodes"]]
    assert answers == [None, "120 characters, not shown", "017"]
    assert parts[0]["episodes"][0]["calls"][0]["status"] == "bad_request"


def test_protected_texts_are_shown_to_who_asks_for_them(run: SampleRun) -> None:
    index, parts = drilled(run, include_restricted=True)
    assert "merchant of contest" in json.dumps([index, parts])
    assert all(task["shown"] for task in index["tasks"])


def test_a_task_that_does_not_say_is_protected(run: SampleRun) -> None:
    silent = replace(run.summary, tasks={"synth": {}})
    assert shown_tasks(silent, include_restricted=False) == {"synth": False, "contest": False}


def test_episodes_that_the_summary_leaves_out_stay_out(run: SampleRun) -> None:
    stray = replace(run.episodes[0], system="gone")
    assert drill_down(run.summary, [*run.episodes, stray], run.problems, run.golds) == drilled(run)


def test_a_long_reply_keeps_its_end(run: SampleRun) -> None:
    text = "a" * LONGEST_TEXT + "b" * LONGEST_TEXT + "the answer is 4"
    call = CallRecord(expert="nano", model="m", status="ok", text=text)
    episode = replace(run.episodes[0], calls=(call,), response=text)
    _, parts = drill_down(run.summary, [episode], {}, {})
    (kept,) = parts[0]["texts"]
    assert kept.startswith("aaa")
    assert kept.endswith("the answer is 4")
    assert "24,015 characters left out" in kept
    assert len(kept) < LONGEST_TEXT + 200


@pytest.mark.parametrize("text", [HOSTILE, "</script>", "<!--<script>", "&lt;", "\ud800", "\x00"])
def test_what_is_embedded_cannot_end_its_element(text: str) -> None:
    embedded = embeddable({"text": text})
    assert not set(embedded) & set("<>&\u2028\u2029")
    embedded.encode("utf-8")
    assert json.loads(embedded) == {"text": text}


def test_ids_are_ordered_as_people_count() -> None:
    ids = ["p10", "p9", "9", "10", "b", "a-2-10", "a-2-9", "²"]
    assert sorted(ids, key=natural_order) == ["9", "10", "a-2-9", "a-2-10", "b", "p9", "p10", "²"]
