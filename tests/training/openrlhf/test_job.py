"""A job's file is read as it was written, in whatever directory it lies."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from corl_bench.errors import ConfigError
from corl_train.openrlhf.job import VARIABLE, job_of_environment, read_job, write_job
from training.openrlhf.jobs import a_job


def test_what_is_written_is_read(tmp_path: Path) -> None:
    job = a_job(
        reward={"kind": "soft", "per_usd": 20.0},
        price_date=date(2026, 1, 31),
        experts="replay",
        recordings="recordings.sqlite",
        seed=7,
    )
    path = write_job(job, tmp_path / "runs" / "job")
    assert read_job(path) == job
    assert [(b.name, b.usd) for b in job.named_budgets] == [
        ("low", Decimal("0.0005")),
        ("high", Decimal("0.05")),
    ]


def test_files_beside_it_are_found_wherever_a_worker_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_job(a_job(pool="pool.toml", protocol="digest"), tmp_path)
    (tmp_path / "pool.toml").touch()
    monkeypatch.chdir("/")
    job, folder = job_of_environment({VARIABLE: str(path)})
    assert folder == tmp_path
    assert job.pool == str(tmp_path / "pool.toml")
    assert job.protocol == "digest"  # one that comes with the bench


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budgets": {"low": "five"}}, "budget low"),
        ({"usd_per_mtok": "-1"}, "usd_per_mtok"),
        ({"experts": "live"}, "experts"),
        ({"experts": "replay"}, "recordings"),
        ({"experts": "gateway", "recordings": "r.sqlite"}, "recordings"),
        ({"reward": {"kind": "percentile"}}, "percentile"),
        ({"reward": {"kind": "mean"}}, "mean reward"),
        ({"reward": {"kind": "praise"}}, "reward"),
        ({"episode_timeout_s": 0}, "episode_timeout_s"),
        ({"prompts": {}}, "prompts"),
        ({"api_key": "sk-1"}, "api_key"),
    ],
)
def test_what_is_no_job_is_refused_in_a_line(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(a_job().model_dump(mode="json") | changes))
    with pytest.raises(ConfigError, match=said) as refused:
        read_job(path)
    assert "\n" not in str(refused.value)


def test_a_worker_without_a_job_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="corl-train launch"):
        job_of_environment({})
    with pytest.raises(ConfigError, match="cannot read"):
        job_of_environment({VARIABLE: str(tmp_path / "none.json")})
