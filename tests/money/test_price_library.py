"""The price library: whole ids, days, sources, and figures that real bills can be checked with."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from corl_bench.errors import UnpricedModelError
from corl_bench.money.amounts import sum_usd
from corl_bench.money.price_library import (
    LIBRARY_FILE,
    library,
    library_digest,
    price_at,
    price_history,
)
from corl_bench.types import Usage
from recorded_models import RECORDED_MODELS


@pytest.mark.parametrize(
    ("model", "day", "input_usd", "cached_usd", "output_usd"),
    [
        ("openai/o3", "2025-06-09", "10", "2.5", "40"),
        ("openai/o3", "2025-06-10", "2", "0.5", "8"),
        ("openai/o3-2025-04-16", "2026-11-01", "2", "0.5", "8"),
        ("openai/gpt-4.1", "2025-04-14", "2", "0.5", "8"),
        ("openai/gpt-4.1-nano", "2026-01-01", "0.1", "0.025", "0.4"),
        ("openai/gpt-4o", "2024-10-01", "5", None, "15"),
        ("openai/gpt-4o", "2024-10-02", "2.5", "1.25", "10"),
        ("openai/gpt-4o-2024-05-13", "2026-01-01", "5", None, "15"),
        ("google/gemini-3.8-flash", "2026-12-31", "0.75", "0.075", "3.75"),
        ("google/gemini-3.8-flash", "2027-01-01", "1.5", "0.15", "7.5"),
    ],
)
def test_the_row_in_force_on_the_day_counts(
    model: str, day: str, input_usd: str, cached_usd: str | None, output_usd: str
) -> None:
    price = price_at(model, date.fromisoformat(day))
    assert price.input_usd_per_mtok == Decimal(input_usd)
    assert price.cached_input_usd_per_mtok == (None if cached_usd is None else Decimal(cached_usd))
    assert price.output_usd_per_mtok == Decimal(output_usd)
    assert price.from_library


@pytest.mark.parametrize(
    "model",
    [
        "o3",
        "openai/o",
        "openai/o3-",
        "openai/o3-2025",
        "openai/o3-2025-04-17",
        "OPENAI/o3",
        "xopenai/o3",
        " openai/o3",
        "openai/gpt-4.1-2025-04-14-ft",
        "openai/gpt-4",
        "",
    ],
)
def test_ids_match_whole_or_not_at_all(model: str) -> None:
    with pytest.raises(UnpricedModelError) as caught:
        price_at(model, date(2026, 11, 1))
    message = str(caught.value)
    assert repr(model) in message
    assert "price = {" in message
    assert "\n" not in message


def test_an_unknown_id_is_answered_with_near_ones() -> None:
    with pytest.raises(UnpricedModelError, match=r"did you mean openai/o3\?"):
        price_at("o3", date(2026, 11, 1))


def test_a_day_before_the_first_row_is_an_error_that_names_that_row() -> None:
    with pytest.raises(UnpricedModelError, match=r"2025-04-15.*first known price.*2025-04-16"):
        price_at("openai/o3", date(2025, 4, 15))


def test_every_row_has_a_source_that_can_be_looked_up_and_says_what_its_date_means() -> None:
    for model in library().values():
        for price in model.rows:
            assert re.search(r"https://|\w\.(com|dev)/", price.source), model.id
            assert price.source.endswith("]")


def test_rows_of_a_model_follow_each_other_in_time() -> None:
    for model in library().values():
        days = [price.effective_from for price in model.rows]
        assert days == sorted(set(days)), model.id


def test_no_name_stands_for_two_models() -> None:
    names = [name for model in library().values() for name in (model.id, *model.aliases)]
    assert len(names) == len(set(names))


def test_the_file_holds_nothing_that_the_library_does_not_read() -> None:
    data = tomllib.loads(LIBRARY_FILE.read_text(encoding="utf-8"))
    assert set(data) == {"sources", "models"}
    cited = set()
    for table in data["models"].values():
        assert set(table) <= {"aliases", "note", "rows"}
        for row in table["rows"]:
            cited.add(row["source"])
            assert set(row) <= {"from", "basis", "source"} | {
                *("input", "output", "cached", "write", "write_1h")
            }
    assert cited == set(data["sources"])


def test_cheaper_classes_are_cheaper_and_output_is_the_dearest() -> None:
    """Catches columns that were swapped and points that were misplaced."""
    for model in library().values():
        for price in model.rows:
            base = price.input_usd_per_mtok
            assert price.output_usd_per_mtok >= base, model.id
            if price.cached_input_usd_per_mtok is not None:
                assert 0 < price.cached_input_usd_per_mtok < base, model.id
            if price.cache_write_usd_per_mtok is not None:
                assert base < price.cache_write_usd_per_mtok <= base * Decimal("1.25"), model.id
            if price.cache_write_1h_usd_per_mtok is not None:
                assert price.cache_write_1h_usd_per_mtok == base * 2, model.id


def test_anthropic_rows_price_what_is_written_to_a_cache() -> None:
    """Left out it would cost what input costs, which is too little."""
    for model in library().values():
        if model.id.startswith("anthropic/"):
            assert all(price.cache_write_usd_per_mtok for price in model.rows), model.id


def test_the_history_of_an_alias_is_that_of_its_model() -> None:
    assert price_history("openai/o3-2025-04-16") == price_history("openai/o3")
    with pytest.raises(UnpricedModelError):
        price_history("openai/o33")


def test_the_digest_is_that_of_the_file() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", library_digest())


@pytest.mark.network_data
@pytest.mark.parametrize("dataset", ["math-l5", "gsm"])
def test_recorded_usage_costs_what_its_publisher_says(dataset: str, shared_dir: Path) -> None:
    """The recordings' README prices each expert at the library prices of 2026-08-21."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    folder = shared_dir / "recordings"
    published = dict(_mean_usd((folder / "README.md").read_text(encoding="utf-8"), dataset))
    assert len(published) == 8
    for name, mean_usd in published.items():
        price = price_at(RECORDED_MODELS[name], date(2026, 8, 21))
        lines = zstd.decompress((folder / dataset / f"{name}.jsonl.zst").read_bytes()).splitlines()
        rows = [json.loads(line) for line in lines]
        costs = [
            price.cost_usd(
                Usage(input_tokens=row["prompt_tokens"], output_tokens=row["completion_tokens"])
            )
            for row in rows
        ]
        mean = (sum_usd(costs) / len(costs)).quantize(Decimal("0.000001"))
        assert mean == mean_usd, name


def _mean_usd(readme: str, dataset: str) -> list[tuple[str, Decimal]]:
    section = readme.partition(f"\n## {dataset}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    place = rows[0].index("mean $/query")
    return [(row[0], Decimal(row[place])) for row in rows[2:]]
