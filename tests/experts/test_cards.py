"""Cards: measured on replies alone, kept in files, found by model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from corl_bench.cli.main import main
from corl_bench.errors import ConfigError
from corl_bench.experts.card_file import (
    encode_cards,
    find_card,
    keyed,
    read_cards,
    rounded,
    with_cards,
)
from corl_bench.experts.cards import Card, Trial, measure
from corl_bench.experts.pools import load_pool, pool_digest
from corl_bench.experts.trials import RecordedBooth, SimulatedBooth, measure_cards, trials_of
from corl_bench.tasks import load_task

POOL = load_pool("sim")
GEOMETRY = [Trial("Geometry", right, 80, 100 * n) for n, right in enumerate([True, False] * 5, 1)]
ALGEBRA = [Trial("Algebra", True, 80, 2000), Trial("Algebra", False, 80, 3000, silent=True)]


def test_a_card_says_what_was_measured() -> None:
    card = measure([*GEOMETRY, *ALGEBRA])
    assert card.trials == 12
    assert card.silent == pytest.approx(1 / 12)
    assert card.right[""] == pytest.approx(7 / 14)
    assert card.trust("Geometry") == pytest.approx((5 + 2 * 0.5) / 12)
    assert card.trust("Topology") == card.right[""]
    # The middle of each tenth, from short to long.
    assert [output for _, output in card.calls] == sorted(output for _, output in card.calls)
    assert card.calls[0] == (80, 100)
    assert card.calls[-1] == (80, 3000)


def test_a_card_costs_what_the_price_of_the_day_makes_of_its_calls() -> None:
    card = measure(GEOMETRY)
    price = POOL["nano"].price
    cheapest = card.costs_usd(price)[0]
    assert cheapest == pytest.approx(float(80 * price.input_usd_per_mtok) / 1e6 + 100 * 0.4 / 1e6)


def test_experts_of_one_model_keep_cards_of_their_own() -> None:
    """Other effort, other provider: their cards are found by alias; all others' by model."""
    low, high = measure(GEOMETRY), measure(ALGEBRA)
    nano, mini, large = (POOL[name] for name in ("nano", "mini", "large"))
    other = replace(nano, name="nano-again")
    carded = [
        replace(nano, card=low),
        replace(other, card=high),
        replace(mini, card=low),
        replace(large, card=None),
    ]
    cards = keyed(carded)
    assert cards == {"nano": low, "nano-again": high, mini.model: low}
    again = with_cards([nano, other, replace(mini, name="m"), large], cards)
    assert [expert.card for expert in again] == [low, high, low, None]
    # Where they were measured alike, a card stays the model's, whatever it is called.
    same = keyed([replace(nano, card=low), replace(other, card=low)])
    assert same == {nano.model: low}
    assert find_card(same, name="renamed", model=nano.model) == low


def test_a_subject_that_is_called_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="subject is called 'all'"):
        measure([Trial("all", True, 80, 100)])


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs replies"):
        measure([])


def test_a_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    card = rounded(measure([*GEOMETRY, *ALGEBRA]))
    path = tmp_path / "cards.toml"
    path.write_text(encode_cards({'a "model"': card, "b": card}))
    assert read_cards(path) == {'a "model"': card, "b": card}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[m]\ntrials = 0\nsilent = 0.0\ncalls = [[1, 2]]\nright = { all = 0.5 }", "m.trials"),
        ("[m]\ntrials = 1\nsilent = 0.0\ncalls = [[1]]\nright = { all = 0.5 }", "m.calls"),
        ("[m]\ntrials = 1\nsilent = 0.0\ncalls = [[1, 2]]\nright = { x = 0.5 }", "m.right.all"),
        ("[m", "no TOML"),
    ],
)
def test_a_broken_file_is_named_with_its_key(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "cards.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=what):
        read_cards(path)


def test_cards_are_of_what_experts_say_and_not_of_their_tables() -> None:
    problems = [p for p in load_task("synth:train").problems if p.subject == "Geometry"][:150]
    booth = SimulatedBooth(POOL)
    trials = list(trials_of(booth, "large", problems))
    assert trials == list(trials_of(SimulatedBooth(POOL), "large", problems))
    card = measure(trials)
    # 0.86 right among the 88 % that answer: four standard errors are 0.14.
    assert card.trust("Geometry") == pytest.approx(0.86 * 0.88, abs=0.14)
    assert card.silent == pytest.approx(0.12, abs=0.11)


def test_the_command_measures_a_pool_and_a_pool_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = tmp_path / "pool.toml"
    text = Path(__file__).parents[2] / "harness/corl_bench/experts/pools/sim.toml"
    pool.write_text('cards = "cards.toml"\n' + text.read_text())
    out = tmp_path / "cards.toml"
    with pytest.raises(ConfigError, match="cannot read cards"):
        load_pool(str(pool))
    with pytest.raises(SystemExit) as left:
        main(["pool", "cards", "sim", "--task", "synth:validation", "--out", str(out)])
    assert left.value.code in (0, None)
    assert "nano: 360 replies" in capsys.readouterr().out
    loaded = load_pool(str(pool))
    cards = read_cards(out)
    assert [expert.card for expert in loaded.experts] == [cards[e.model] for e in POOL.experts]
    assert loaded.digest != POOL.digest


def test_whoever_has_a_card_keeps_it_and_pools_without_any_keep_their_digest() -> None:
    own, other = (Card({"": share}, 0.0, ((80, 100),), 1) for share in (0.1, 0.9))
    (first, *_) = with_cards(POOL.experts, {POOL.experts[0].model: own})
    assert with_cards([first], {first.model: other})[0].card == own
    assert pool_digest(POOL) == POOL.digest


def test_a_card_can_be_had_of_recordings(tmp_path: Path) -> None:
    from corl_bench.experts.store import RecordingStore

    out = tmp_path / "run"
    with pytest.raises(SystemExit):
        main(
            [
                *("run", "--task", "synth:validation", "--limit", "30", "--pool", "sim"),
                *("--system", "single:*", "--mode", "record", "--out", str(out), "--quiet"),
            ]
        )
    task = load_task("synth:validation")
    with RecordingStore.open(out / "recordings.sqlite", create=False, read_only=True) as store:
        cards = measure_cards(POOL, RecordedBooth(POOL, task, store), task.problems)
    assert {card.trials for card in cards.values()} == {30}
    assert cards["reasoner"].trust("") > cards["self"].trust("")
    reasoner = cards["reasoner"].costs_usd(POOL["reasoner"].price)
    assert sum(reasoner) / len(reasoner) > 0.001
