from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError, StorageError
from corl_bench.results import (
    MANIFEST_SCHEMA,
    decode_episode,
    read_manifest,
    read_summary,
)

READERS = [(read_manifest, "manifest.json"), (read_summary, "summary.json")]


@pytest.mark.parametrize(("read", "name"), READERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no run"),
        ("{", "not JSON"),
        ("\xff", "not JSON"),
        ("[]", "schema is None"),
        ('{"schema": "corl-bench/summary@999"}', "schema is 'corl-bench/summary@999'"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_the_file(
    tmp_path: Path,
    read: Callable[[Path], object],
    name: str,
    content: str | None,
    message: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="latin-1")
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rest", ["", ', "totals": []', ', "totals": {}, "rows": 7'])
def test_a_summary_that_lacks_something_is_one_line(tmp_path: Path, rest: str) -> None:
    (tmp_path / "summary.json").write_text(f'{{"schema": "corl-bench/summary@1"{rest}}}')
    with pytest.raises(ConfigError, match=r"summary\.json is broken") as caught:
        read_summary(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("read", "name"), READERS)
def test_a_folder_in_the_place_of_a_file_is_one_line(
    tmp_path: Path, read: Callable[[Path], object], name: str
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(StorageError, match=f"cannot read .*{name}"):
        read(tmp_path)


def test_a_manifest_is_read_as_it_stands(tmp_path: Path) -> None:
    manifest = {"schema": MANIFEST_SCHEMA, "seed": 7, "whatever": {"comes": [1]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert read_manifest(tmp_path) == manifest


def test_an_episode_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ConfigError, match="upgrade corl-bench"):
        decode_episode({"v": 3})
