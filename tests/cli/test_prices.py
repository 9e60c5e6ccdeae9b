"""`corl-bench prices`: the library as a table and a model's history."""

from __future__ import annotations

from click.testing import CliRunner

from corl_bench.cli.prices import command
from corl_bench.errors import UnpricedModelError
from corl_bench.money.price_library import library


def test_the_list_holds_the_models_that_have_a_price_on_the_day() -> None:
    early = CliRunner().invoke(command, ["list", "--date", "2025-06-09"])
    late = CliRunner().invoke(command, ["list", "--date", "2026-11-21"])
    assert early.exit_code == late.exit_code == 0
    (o3,) = [line.split() for line in early.output.splitlines() if line.startswith("openai/o3 ")]
    assert o3[1:5] == ["10", "2.5", "40", "2025-04-16"]
    assert "openai/gpt-5 " not in early.output
    assert f"{len(library())} of {len(library())} models" in late.output


def test_show_prints_every_row_with_its_day_and_source() -> None:
    result = CliRunner().invoke(command, ["show", "openai/o3-2025-04-16"])
    assert result.output.startswith("openai/o3, dollars per million tokens")
    assert result.output.count("\nfrom 2025-") == 2
    assert result.output.count("https://") == 2


def test_show_at_a_day_prints_the_row_in_force() -> None:
    result = CliRunner().invoke(command, ["show", "openai/o3", "--date", "2025-06-10"])
    assert "from 2025-06-10" in result.output
    assert "from 2025-04-16" not in result.output


def test_an_unknown_model_is_a_mistake() -> None:
    result = CliRunner().invoke(command, ["show", "o3"])
    assert isinstance(result.exception, UnpricedModelError)
