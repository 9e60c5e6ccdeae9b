"""The registry: names, factories, other distributions' providers, and missing keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.providers import (
    PROVIDERS,
    ProviderContext,
    make_provider,
    missing_keys,
)
from corl_bench.experts.transport import Transport
from servers.experts import expert_at

POOL = Pool(
    "p",
    (
        expert_at(None, name="a", key_env="A_KEY"),
        expert_at(None, name="b", key_env="B_KEY"),
        expert_at(None, name="c", key_env=None),
        expert_at(None, name="d", key_env="A_KEY"),
    ),
)


def context() -> ProviderContext:
    return ProviderContext(pool=POOL, transport=Transport({}), seed=3, environment={})


def test_an_unknown_provider_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        make_provider(expert_at(None, provider="opnai"), context())
    assert "expert mid: unknown provider 'opnai'" in str(caught.value)
    assert all(name in str(caught.value) for name in PROVIDERS)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution, installed as pip would, with a good provider and a broken one."""
    metadata = tmp_path / "echo_experts-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-experts\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[corl_bench.providers]\necho = echo_experts:make\nbroken = echo_experts:nothing\n"
    )
    (tmp_path / "echo_experts.py").write_text(
        "def make(spec, context):\n    return (spec.name, context.seed)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
def test_other_distributions_add_providers() -> None:
    assert make_provider(expert_at(None, provider="echo"), context()) == ("mid", 3)
    with pytest.raises(ConfigError, match="'broken' cannot be loaded"):
        make_provider(expert_at(None, provider="broken"), context())
    with pytest.raises(ConfigError, match="echo"):
        make_provider(expert_at(None, provider="other"), context())


def test_missing_keys_are_found_before_a_run() -> None:
    assert missing_keys(POOL.experts, {}) == [("a", "A_KEY"), ("b", "B_KEY"), ("d", "A_KEY")]
    assert missing_keys(POOL.experts, {"A_KEY": "x", "B_KEY": " "}) == [("b", "B_KEY")]


def test_keys_come_from_the_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "x")
    monkeypatch.setenv("B_KEY", "x")
    assert missing_keys(POOL.experts) == []
    context = ProviderContext(pool=POOL, transport=Transport())
    assert context.environment["A_KEY"] == "x"
    assert "environment" not in repr(context)  # it would print every key there is
