"""The tiny policy: a transformer of 0.1 to 3 M parameters, trained from nothing on a CPU.

policy = TinyPolicy.new(tokens, Shape(len(tokens)), seed=0)
transcript = Transcript()
transcript.read(policy.read("user", "How many multiples of 5?"))
policy.session().speak([transcript], Speaking(24, ("</call>",)), seeds=[1])
"""

from __future__ import annotations

import json
import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn

from corl_bench.errors import ConfigError
from corl_bench.shapes import find_fault
from corl_train.policies.base import Said, Scores, Speaking
from corl_train.policies.draws import draw
from corl_train.policies.tokens import END, OTHER, PAD, TURN, Tokens
from corl_train.policies.transformer import Cache, Shape, Transformer, Wanted
from corl_train.rollouts import Transcript

_LARGEST_SIZE = 1 << 20
_UNLOADABLE = (
    *(ValueError, TypeError, RuntimeError, LookupError, AttributeError, EOFError),
    *(pickle.UnpicklingError, struct.error, ArithmeticError, AssertionError),
)
"""What bytes that are no weights come to, in torch and in what it unpickles with."""
TOKENS_NAME, SHAPE_NAME, WEIGHTS_NAME = "tokens.json", "shape.json", "weights.pt"
_NEVER_SAID = (PAD, OTHER, TURN)
_READ_AT_ONCE = 64
"""Conversations, all different, that are read at once: more do not fit a core's cache."""
_SPEAK_AT_ONCE = 256
"""Conversations that speak at once, some of them alike so far."""
_MOSTLY = 0.75
"""Of what its neighbours share a row has to begin with so much to be read with them."""
_WORTH_IT = 0.75
"""Of the tokens of a batch that are read all the same: above, the detour costs what it saves."""
_REMEMBERED = 1024
"""Conversations that a session keeps; one that it has forgotten is read again."""


class TinyPolicy:
    """A `Policy` over `Tokens` and a `Transformer`."""

    def __init__(self, tokens: Tokens, model: Transformer) -> None:
        self.tokens = tokens
        self.model = model

    @classmethod
    def new(cls, tokens: Tokens, shape: Shape, *, seed: int) -> TinyPolicy:
        """A policy with random weights."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(tokens, Transformer(shape))

    @property
    def module(self) -> nn.Module:
        return self.model

    @property
    def context(self) -> int:
        return self.model.shape.context

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        if role == "assistant":
            return [*self.tokens.encode(text), END]
        return [*self.tokens.read(text, opening=not behind), TURN]

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        ids = self.tokens.encode(text)
        return ids if text.endswith(stops) else [*ids, END]

    def session(self) -> TinySession:
        return TinySession(self)

    def score(self, ids: Tensor, mask: Tensor, *, distributions: bool = True) -> Scores:
        read = ids[:, :-1][:, : self.model.shape.context]
        # Token t is chosen in the state behind token t - 1; only chosen tokens need logits.
        rows, columns = mask[:, 1 : 1 + read.shape[1]].nonzero(as_tuple=True)
        states = self._states(read, rows, columns)
        scores = self.log_softmax(states)
        chosen = ids[rows, columns + 1]
        entropies = -(scores.exp() * scores).sum(dim=1)

        def spread(flat: Tensor) -> Tensor:
            return flat.new_zeros(ids.shape).index_put((rows, columns + 1), flat)

        return Scores(
            log_probs=spread(scores.gather(1, chosen[:, None])[:, 0]),
            entropies=spread(entropies),
            values=spread(self.model.values(states)),
            states=states,
            distributions=scores,
        )

    def _states(self, ids: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Hidden states at some places, (n, width); (batch, time) ids are read from the left.

        Where nothing is learned, neighbours that begin alike have their beginning read once.
        """
        model, batch = self.model, len(ids)
        states: Tensor
        if not len(rows):
            return torch.zeros(0, model.shape.width)
        wanted = Wanted.of(rows, columns, batch)
        if torch.is_grad_enabled():
            states = model(ids, wanted=wanted)
            return states
        groups, shared = _beginnings(ids, rows, columns)
        longest, shortest = max(shared), min(shared)
        read = len(shared) * longest + batch * (ids.shape[1] - shortest)
        if read > _WORTH_IT * ids.numel():
            states = model(ids, wanted=wanted)
            return states
        first = torch.tensor(groups).diff(prepend=torch.tensor([-1])).nonzero()[:, 0]
        ends = torch.tensor(shared)
        cache = Cache(model.shape, len(shared), ids.shape[1] + longest - shortest)
        everybody = torch.arange(len(shared))
        model(ids[first, :longest], cache, Wanted.of(everybody, ends - 1, len(shared)))
        cache.lengths += ends
        cache = cache.keep(groups)
        behind = cache.lengths[:, None] + torch.arange(ids.shape[1] - shortest)
        rest = ids.gather(1, behind.clamp(max=ids.shape[1] - 1))
        states = model(rest, cache, Wanted.of(rows, columns - cache.lengths[rows], batch))
        return states

    def save(self, folder: Path) -> None:
        self.tokens.save(folder / TOKENS_NAME)
        (folder / SHAPE_NAME).write_text(json.dumps(asdict(self.model.shape)) + "\n")
        torch.save(self.model.state_dict(), folder / WEIGHTS_NAME)

    @classmethod
    def load(cls, folder: Path) -> TinyPolicy:
        """Reads a policy that was saved.

        Raises:
            ConfigError: there is none.
        """
        tokens = Tokens.load(folder / TOKENS_NAME)
        try:
            sizes = json.loads((folder / SHAPE_NAME).read_text())
            if fault := find_fault(sizes, {str: int}):
                raise ValueError(fault)
            if not all(0 < size <= _LARGEST_SIZE for size in sizes.values()):
                raise ValueError(f"{SHAPE_NAME} has a size that is none")
            shape = Shape(**sizes)
            state = torch.load(folder / WEIGHTS_NAME, map_location="cpu", weights_only=True)
            if len(state) < shape.depth:
                raise ValueError(f"{WEIGHTS_NAME} is of another shape than {SHAPE_NAME}")
            model = Transformer(shape)
            model.load_state_dict(state)
        except (OSError, *_UNLOADABLE) as error:
            said = " ".join(str(error).split())[:200]
            raise ConfigError(f"{folder} holds no tiny controller: {said}") from None
        return cls(tokens, model)

    def log_softmax(self, states: Tensor) -> Tensor:
        """(n, width) to log-probabilities (n, vocabulary); marks of turns are never said."""
        logits = self.model.logits(states)
        logits[..., list(_NEVER_SAID)] = -1e4
        return logits.log_softmax(dim=-1)


class TinySession:
    """Turns in chunks that fit a core's cache, with what was read of a conversation kept."""

    def __init__(self, policy: TinyPolicy) -> None:
        self.policy = policy
        self._kept: OrderedDict[int, tuple[Transcript, Tensor, int]] = OrderedDict()
        """By identity: the transcript (so that its identity is not given away), its keys and
        values, and for how many tokens they hold."""

    @torch.no_grad()
    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        context = self.policy.model.shape.context
        said = [Said([], [], "", "context")] * len(transcripts)
        fitting = [row for row, t in enumerate(transcripts) if len(t.ids) < context]
        # Those of one length, so that there is little padding, and those that are alike together.
        fitting.sort(key=lambda row: (len(transcripts[row].ids), transcripts[row].ids))
        for rows in _chunks(fitting, transcripts):
            turns = self._speak([transcripts[row] for row in rows], how, [seeds[r] for r in rows])
            for row, turn in zip(rows, turns, strict=True):
                said[row] = turn
        while len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)
        return said

    def _speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        cache, last = self._read(transcripts, how.max_tokens)
        whole = cache
        model, tokens = self.policy.model, self.policy.tokens
        draws = [Random(seed) for seed in seeds]
        stops = tuple(stop.encode() for stop in how.stops)
        spelled = [b""] * len(transcripts)
        ids: list[list[int]] = [[] for _ in transcripts]
        log_probs: list[list[float]] = [[] for _ in transcripts]
        finish = ["length"] * len(transcripts)
        live = list(range(len(transcripts)))
        while live:
            scores = self.policy.log_softmax(last)
            if how.temperature > 0:
                # One draw of its own for each row, so that a row's tokens do not depend on
                # who else is in the batch.
                heights = torch.tensor([[draws[row].random()] for row in live])
                chosen = draw(scores / how.temperature, heights)
            else:
                chosen = scores.argmax(dim=1)
            picked = scores.gather(1, chosen[:, None])[:, 0].tolist()
            going = []
            for place, (row, token) in enumerate(zip(live, chosen.tolist(), strict=True)):
                ids[row].append(token)
                log_probs[row].append(picked[place])
                spelled[row] += tokens.spelled(token)
                if token == END or spelled[row].endswith(stops):
                    finish[row] = "stop"
                elif (
                    len(ids[row]) < how.max_tokens
                    and len(transcripts[row].ids) + len(ids[row]) < model.shape.context
                ):
                    going.append(place)
            if not going:
                break
            if len(going) < len(live):
                cache = cache.keep(going)
            live = [live[place] for place in going]
            last = model(chosen[going][:, None], cache)[:, 0]
            cache.lengths += 1
        # What was said is read again with what comes next: rows have left the cache by then.
        for row, transcript in enumerate(transcripts):
            known = len(transcript.ids)
            self._kept[id(transcript)] = (transcript, whole.entries[:, :, row], known)
        return [
            Said(ids[row], log_probs[row], spelled[row].decode("utf-8", "replace"), finish[row])
            for row in range(len(transcripts))
        ]

    def _read(self, transcripts: Sequence[Transcript], room: int) -> tuple[Cache, Tensor]:
        """A cache of everything that was read, and the last hidden states (batch, width).

        Conversations that are alike so far, as those of a group are at first, are read once.
        """
        model = self.policy.model
        places: dict[tuple[int, ...], int] = {}
        rows = [places.setdefault(tuple(t.ids), len(places)) for t in transcripts]
        cache = Cache(
            model.shape, len(places), min(model.shape.context, max(map(len, places)) + room)
        )
        unread: list[tuple[int, ...]] = [()] * len(places)
        for row, transcript in zip(rows, transcripts, strict=True):
            _, entries, known = self._kept.pop(id(transcript), (None, None, 0))
            # Of a conversation that has not grown the last token is read again, for its state.
            known = min(known, len(transcript.ids) - 1)
            if unread[row]:
                continue
            if entries is not None:
                cache.entries[:, :, row, :, :known] = entries[:, :, :, :known]
                cache.lengths[row] = known
            unread[row] = tuple(transcript.ids[known:])
        sizes = torch.tensor([len(new) for new in unread])
        ids = torch.zeros(len(unread), int(sizes.max()), dtype=torch.long)
        for row, new in enumerate(unread):
            ids[row, : len(new)] = torch.tensor(new)
        last = model(ids, cache, Wanted.of(torch.arange(len(unread)), sizes - 1, len(unread)))
        cache.lengths += sizes
        return (cache, last) if len(places) == len(rows) else (cache.keep(rows), last[rows])


def _beginnings(ids: Tensor, rows: Tensor, columns: Tensor) -> tuple[list[int], list[int]]:
    """Which neighbours are read together, and how far.

    Args:
        ids: (batch, time).
        rows: of the places whose states are wanted.
        columns: likewise.

    Returns:
        Of each row the number of its group; of each group how many tokens its rows have in
        common, none of which has a state that is wanted.
    """
    batch, time = ids.shape
    free = torch.full((batch,), time).scatter_reduce(0, rows, columns, "amin").tolist()
    alike = (ids[1:] == ids[:-1]).long().cumprod(dim=1).sum(dim=1).tolist()
    groups, shared = [0], [free[0]]
    for room, same in zip(free[1:], alike, strict=True):
        common = min(room, same, shared[-1])
        # One that has little in common with the others would cost them what they have.
        if common >= _MOSTLY * shared[-1] > 0:
            shared[-1] = common
        else:
            shared.append(room)
        groups.append(len(shared) - 1)
    return (groups, shared) if min(shared) > 0 else (list(range(batch)), free)


def _chunks(rows: Sequence[int], transcripts: Sequence[Transcript]) -> Iterator[list[int]]:
    """Pieces of an order in which transcripts that are alike stand together."""
    chunk: list[int] = []
    different = 0
    for row in rows:
        is_new = not chunk or transcripts[chunk[-1]].ids != transcripts[row].ids
        if len(chunk) == _SPEAK_AT_ONCE or (is_new and different == _READ_AT_ONCE):
            yield chunk
            chunk, different, is_new = [], 0, True
        chunk.append(row)
        different += is_new
    if chunk:
        yield chunk
