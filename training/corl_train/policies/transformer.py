"""A small causal transformer with a value head: the body of the tiny controller.

Pre-norm blocks, rotary positions, tied embeddings. It is written for many short sequences on
one core: sequences are padded on the right, keys and values are cached while it speaks, and
logits are computed at the positions that are asked for and nowhere else.

    model = Transformer(Shape(vocabulary=900, width=64))
    hidden = model(ids)                                # (batch, time) to (batch, time, width)
    logits, values = model.logits(hidden), model.values(hidden)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the model; 64 wide and 2 deep are 0.13 M parameters."""

    vocabulary: int
    width: int = 64
    depth: int = 2
    heads: int = 4
    context: int = 512
    """Longest sequence, in tokens."""


class Cache:
    """Keys and values of sequences that are being continued, (batch, heads, time, size) each."""

    def __init__(self, shape: Shape, batch: int, time: int) -> None:
        size = shape.width // shape.heads
        self.entries = torch.zeros(shape.depth, 2, batch, shape.heads, time, size)
        """(depth, keys and values, batch, heads, time, size)"""
        self.lengths = torch.zeros(batch, dtype=torch.long)
        """Tokens that are known of each sequence; what lies behind them is nothing yet."""

    def keep(self, rows: list[int]) -> Cache:
        """The cache of some of the sequences."""
        kept = Cache.__new__(Cache)
        kept.entries, kept.lengths = self.entries[:, :, rows], self.lengths[rows]
        return kept


@dataclass(frozen=True, slots=True)
class Wanted:
    """The places, n of them row by row, whose states are wanted: the last block makes no others."""

    rows: Tensor
    """(n,)"""
    columns: Tensor
    """(n,)"""
    slots: Tensor
    """(n,), numbers among the places of a row."""
    widest: int
    """Places of one row, at the most."""

    @classmethod
    def of(cls, rows: Tensor, columns: Tensor, batch: int) -> Self:
        """Places in a batch of so many rows; at least one."""
        counts = rows.bincount(minlength=batch)
        slots = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
        return cls(rows, columns, slots, int(counts.max()))

    def padded(self, flat: Tensor, batch: int) -> Tensor:
        """(n, …) to (batch, widest, …), zeros where a row has fewer."""
        padded = flat.new_zeros(batch, self.widest, *flat.shape[1:])
        return padded.index_put((self.rows, self.slots), flat)


class Transformer(nn.Module):
    """Tokens in, hidden states out; heads for the next token and for the value of a state."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.depth))
        self.norm = nn.RMSNorm(shape.width)
        self.value = nn.Linear(shape.width, 1)
        nn.init.normal_(self.embedding.weight, std=0.05)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)
        cosine, sine = _rotations(shape)
        self.cosine: Tensor
        self.sine: Tensor
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(
        self, ids: Tensor, cache: Cache | None = None, wanted: Wanted | None = None
    ) -> Tensor:
        """Hidden states.

        Args:
            ids: (batch, time), padded on the right; what is padding does not matter to what
                stands before it.
            cache: sequences that these tokens continue. Their keys and values are written into
                it; its lengths are left to the caller, who knows what is padding.
            wanted: places whose states are wanted; None: all.

        Returns:
            (batch, time, width), or (n, width) of n wanted places.
        """
        hidden = self.embedding(ids)
        places = torch.arange(ids.shape[1]).expand(ids.shape)
        mask = None
        if cache is not None and cache.lengths.any():
            # Padding may lie beyond the room that there is; its place is written again.
            last = cache.entries.shape[4] - 1
            places = (cache.lengths[:, None] + places).clamp(max=last)
            mask = (torch.arange(int(places.max()) + 1) <= places[..., None])[:, None]
        # Beyond the context stands nothing but padding.
        turns = places.clamp(max=self.shape.context - 1)
        cosine, sine = self.cosine[turns][:, None], self.sine[turns][:, None]
        for layer, block in enumerate(self.blocks):
            entry = None if cache is None else cache.entries[layer]
            chosen = wanted if layer == len(self.blocks) - 1 else None
            hidden = block(hidden, cosine, sine, mask, entry, places, chosen)
        normed: Tensor = self.norm(hidden)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, width) to (…, vocabulary)."""
        return F.linear(hidden, self.embedding.weight)

    def values(self, hidden: Tensor) -> Tensor:
        """(…, width) to (…)."""
        value: Tensor = self.value(hidden)
        return value.squeeze(-1)


class _Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        width = shape.width
        self.before_attention = nn.RMSNorm(width)
        self.mixed = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.before_mlp = nn.RMSNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        for projection in (self.out, self.down):
            nn.init.normal_(projection.weight, std=0.02 / (2 * shape.depth) ** 0.5)

    def forward(
        self,
        hidden: Tensor,
        cosine: Tensor,
        sine: Tensor,
        mask: Tensor | None,
        entry: Tensor | None,
        places: Tensor,
        wanted: Wanted | None,
    ) -> Tensor:
        batch, time, width = hidden.shape
        normed = self.before_attention(hidden)
        if wanted is None:
            mixed = self.mixed(normed).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            query, key = _rotate(mixed[:2], cosine, sine)
            value = mixed[2]
        else:
            at = wanted.rows, wanted.columns
            of_query, of_others = self.mixed.weight[:width], self.mixed.weight[width:]
            others = F.linear(normed, of_others).view(batch, time, 2, self.heads, -1)
            key, value = others.permute(2, 0, 3, 1, 4)
            key = _rotate(key, cosine, sine)
            asked = F.linear(normed[at], of_query).view(len(at[0]), self.heads, -1)
            turned = _rotate(asked, cosine[at[0], :, at[1]], sine[at[0], :, at[1]])
            query = wanted.padded(turned, batch).transpose(1, 2)
            # A place that is padding looks at the first token, for it has to look at something.
            seen = wanted.padded(places[at], batch)[..., None]
            span = time if mask is None else mask.shape[-1]
            hidden = hidden[at]
        if entry is not None:
            rows = torch.arange(batch)[:, None]
            for kept, new in ((entry[0], key), (entry[1], value)):
                kept[rows, :, places] = new.transpose(1, 2)
            if mask is not None:
                key, value = entry[0][:, :, : mask.shape[-1]], entry[1][:, :, : mask.shape[-1]]
        if wanted is not None:
            mask = (torch.arange(span) <= seen)[:, None]
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None
        ).transpose(1, 2)
        if wanted is not None:
            attended = attended[wanted.rows, wanted.slots]
        hidden = hidden + self.out(attended.reshape(hidden.shape))
        widened = F.gelu(self.up(self.before_mlp(hidden)), approximate="tanh")
        narrowed: Tensor = self.down(widened)
        return hidden + narrowed


def _rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions: (context, size) each.

    Source: J. Su et al., "RoFormer", arXiv 2104.09864.
    """
    size = shape.width // shape.heads
    rates = 10_000.0 ** (-torch.arange(0, size, 2) / size)
    angles = torch.outer(torch.arange(shape.context).float(), rates).repeat(1, 2)
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine
