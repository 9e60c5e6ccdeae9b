"""Policies that are small enough for any test; only tests that ask for them need torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from corl_train.policies.tiny import TinyPolicy


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever the machine: runs can be compared bit for bit."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def policy() -> TinyPolicy:
    """Random weights of a size at which its distributions are far from uniform."""
    torch = pytest.importorskip("torch")
    from corl_train.policies.tiny import TinyPolicy
    from corl_train.policies.tokens import learn_tokens
    from corl_train.policies.transformer import Shape

    tokens = learn_tokens(
        ["one and two one and two"], phrases=["<call>", "</call>", "yes", "no"], words=20
    )
    shape = Shape(len(tokens), width=32, depth=2, heads=2, context=128)
    policy = TinyPolicy.new(tokens, shape, seed=3)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            if parameter.dim() > 1:
                spread = 0.2 + parameter.std().nan_to_num()
                parameter += spread * torch.randn(parameter.shape, generator=draw)
    return policy


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face directory: a small Llama with random weights."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from small_models import save_llama

    return save_llama(tmp_path_factory.mktemp("llama"))
