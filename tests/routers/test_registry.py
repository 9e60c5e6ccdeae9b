from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.routers.registry import parse_systems


def system(text: str, pool: Pool) -> Any:
    (made,) = parse_systems([text], pool)
    return made


def test_shares_that_differ_in_any_digit_are_two_systems(pool: Pool) -> None:
    texts = [f"mix:cheap,dear@{share}" for share in ("0.1234567", "0.12345671", "0.3", "0", "1")]
    assert [made.name for made in parse_systems(texts, pool)] == texts
    # Spellings of one number are one system.
    same = ["mix:cheap,dear@0.3", "mix:cheap,dear@.30", "mix:cheap,dear@3e-1"]
    assert len(parse_systems(same, pool)) == 1


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("mix:cheap,dear@0.25", {"cheap": (0, 0.75, 1), "dear": (0, 0.25, 1)}),
        ("mix:cheap,cheap@0.25", {"cheap": (1, 1.0, 1)}),
        ("random:cheap,dear", {"cheap": (0, 0.5, 1), "dear": (0, 0.5, 1)}),
        ("random:cheap,cheap,dear,dear", {"cheap": (0, 0.5, 1), "dear": (0, 0.5, 1)}),
        ("random:cheap,cheap", {"cheap": (1, 1.0, 1)}),
    ],
)
def test_a_coin_says_how_often_it_asks_whom(
    pool: Pool, text: str, counts: dict[str, tuple[int, float, int]]
) -> None:
    assert system(text, pool).call_counts() == counts


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution, installed as pip would, with good routing systems and broken ones."""
    metadata = tmp_path / "my_routers-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-routers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[corl_bench.routers]\n"
        "mine = my_routers:make\n"
        "missing = my_routers:nothing\n"
        "raising = my_broken_routers:make\n"
    )
    (tmp_path / "my_routers.py").write_text(
        "from corl_bench.routers.fixed import Single\n"
        "def make(rest, pool):\n    return [Single(rest or pool.experts[0].name)]\n"
    )
    (tmp_path / "my_broken_routers.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
def test_other_distributions_add_families(pool: Pool) -> None:
    assert system("mine:dear", pool).name == "single:dear"
    with pytest.raises(ConfigError, match="mine"):
        parse_systems(["nosuch:x"], pool)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("family", ["missing", "raising"])
def test_a_family_that_cannot_be_loaded_is_one_line(pool: Pool, family: str) -> None:
    with pytest.raises(ConfigError, match=f"'{family}' cannot be loaded") as caught:
        parse_systems([f"{family}:x"], pool)
    assert "uninstall" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_systems_of_one_name_are_refused_and_one_system_twice_is_not(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "same_names.py").write_text(
        "class Mine:\n"
        "    name, reads_budget, is_oracle = 'single:cheap', False, False\n"
        "    async def solve(self, problem, budget, episode): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = "python:same_names:Mine"
    assert len(parse_systems([mine, mine], pool)) == 1
    assert len(parse_systems(["single:*", "single:cheap"], pool)) == 3
    for texts in ([mine, "single:cheap"], ["single:*", mine]):
        with pytest.raises(ConfigError, match="two systems of one name, 'single:cheap'") as caught:
            parse_systems(texts, pool)
        assert "\n" not in str(caught.value)
