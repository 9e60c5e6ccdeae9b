"""`corl-bench fit`: what is refused before anything is read. What it learns: tests/routers."""

from __future__ import annotations

from pathlib import Path

import pytest

from corl_bench.cli.main import main


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "-1"])
def test_an_operating_point_is_a_finite_number(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--router", "knn", "--recordings", "nowhere", f"--lambda={number}"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "--lambda" in line
    assert not list(tmp_path.iterdir())
