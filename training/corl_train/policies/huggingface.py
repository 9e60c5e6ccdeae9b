"""Any causal language model of a Hugging Face directory as a policy.

The model speaks through its own tokenizer and chat template (`chat`), a critic of one linear
layer sits on its last hidden states, and only tokens that the controller has said ever reach
the vocabulary: everything else is context. What is saved is again such a directory, which
`transformers` and vLLM load, with the critic in a file of its own.

    policy = HuggingFacePolicy.open(Path("models/smollm2-135m"))
    with torch.no_grad():
        scores = policy.score(ids, mask)

Parameters that are trained are float32. Where the dtype is bfloat16 (the default on a GPU) they
are computed with in bfloat16, by autocast; what a LoRA leaves frozen is kept in it, too.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from corl_bench.errors import ConfigError
from corl_bench.extras import require
from corl_train.policies.actor_critic import ActorCritic
from corl_train.policies.base import Said, Scores, Speaking
from corl_train.policies.chat import Chat
from corl_train.policies.draws import draw
from corl_train.policies.loading import Dtype
from corl_train.rollouts import Transcript

CRITIC_NAME = "critic.tensors"
"""In the format of safetensors, but not by its suffix: vLLM takes all such files for the model."""

_CELLS = 32_768
"""Tokens, padding included, that are sampled at once: what their keys and values take is then
some 1.5 GB for 135 M parameters in float32 and some 5 GB for 8,000 M in bfloat16."""
_NEVER = -1e4
"""Logit of what is never said: its probability is 0 in floating point, and 0 · it is 0."""


@dataclass(frozen=True, slots=True)
class Lora:
    """Train two thin matrices beside each frozen one; E. Hu et al., arXiv 2106.09685."""

    rank: int
    alpha: float
    targets: tuple[str, ...] = ()
    """Names of the layers; empty: all linear ones but the head."""


class HuggingFacePolicy:
    """A `Policy` over a causal language model with a chat template."""

    def __init__(
        self,
        model: ActorCritic,
        chat: Chat,
        *,
        context: int,
        dtype: torch.dtype,
        gradient_checkpointing: bool = False,
    ) -> None:
        self.model = model
        self.chat = chat
        self.context = context
        """Tokens, those read and those said together."""
        self.dtype = dtype
        self.gradient_checkpointing = gradient_checkpointing
        head: Tensor = model.lm.get_output_embeddings().weight
        size = len(chat.tokenizer)
        # A table of embeddings is often longer than its vocabulary.
        unused = [*chat.never_said, *range(size, head.shape[0])]
        self._never_said = torch.tensor(unused, dtype=torch.long, device=head.device)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        device: str = "auto",
        dtype: Dtype = "auto",
        context: int | None = None,
        lora: Lora | None = None,
        gradient_checkpointing: bool = False,
        seed: int = 0,
    ) -> HuggingFacePolicy:
        """Loads a model, its tokenizer, and the critic if one was saved there.

        Args:
            path: directory with config.json, weights and tokenizer; nothing is downloaded.
            device: `cpu`, `cuda`, `cuda:1`, …; `auto` takes a GPU where there is one.
            dtype: to compute in; `auto` is bfloat16 on a GPU and float32 on a CPU, where
                bfloat16 is many times slower.
            context: shorter than the model's own, to save memory.
            lora: train a LoRA instead of all parameters; needs `peft`.
            gradient_checkpointing: forget activations and make them again when they are wanted:
                less memory, a third more time.
            seed: of what a LoRA begins with.

        Raises:
            ConfigError: the directory holds no such model, or it has no usable chat template.
            MissingExtraError: transformers or peft is not installed.
        """
        transformers = require("transformers", extra="hf", why="A Hugging Face controller")
        if not (path / "config.json").is_file():
            raise ConfigError(
                f"{path} holds no Hugging Face model: name a directory with config.json, weights"
                " and tokenizer"
            )
        place = _device(device)
        numbers = _dtype(dtype, place)
        transformers.utils.logging.disable_progress_bar()
        try:
            config = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
            _without_dropout(config)
            lm = transformers.AutoModelForCausalLM.from_pretrained(
                path,
                config=config,
                dtype=torch.float32 if lora is None else numbers,
                local_files_only=True,
            ).to(place)
            tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"{path}: the model cannot be loaded: {reason}") from None
        ends = lm.generation_config.eos_token_id
        chat = Chat.of(tokenizer, ends=ends if isinstance(ends, list) else [ends], source=str(path))
        own_context = getattr(config.get_text_config(), "max_position_embeddings", None)
        contexts = [tokens for tokens in (context, own_context) if tokens is not None]
        if not contexts:
            raise ConfigError(f"{path}: the model states no context: set policy.context")
        if lora is not None:
            lm = _with_lora(lm, lora, seed)
        if gradient_checkpointing:
            # The method has a new name, and its old one warns.
            enable = getattr(lm, "activation_checkpointing_enable", None)
            (enable or lm.gradient_checkpointing_enable)({"use_reentrant": False})
        model = ActorCritic(lm.eval())
        if (path / CRITIC_NAME).is_file():
            load = require("safetensors.torch", extra="hf", why="A saved critic")
            try:
                model.critic.load_state_dict(load.load_file(path / CRITIC_NAME))
            except Exception as error:  # whatever a broken file raises
                raise ConfigError(
                    f"{path / CRITIC_NAME} is no critic of this model ({type(error).__name__}):"
                    " remove it to begin with a new one"
                ) from None
        return cls(
            model,
            chat,
            context=min(contexts),
            dtype=numbers,
            gradient_checkpointing=gradient_checkpointing,
        )

    @property
    def module(self) -> nn.Module:
        return self.model

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.critic.weight.device

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        return self.chat.read(role, text, behind)

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        ids = self.chat.spell(text)
        return ids if stops and text.endswith(stops) else [*ids, self.chat.end]

    def session(self) -> HuggingFaceSession:
        return HuggingFaceSession(self)

    def score(self, ids: Tensor, mask: Tensor, *, distributions: bool = True) -> Scores:
        """Scores sequences by teacher forcing; see `Policy.score`.

        What comes back lies where `ids` does, whatever the model computes on. Distributions
        take 200 kB a token where the vocabulary has 50,000: they are left out on request.
        """
        home = ids.device
        inputs = ids[:, :-1][:, : self.context].to(self.device)
        # Token t is chosen in the state behind token t - 1.
        rows, columns = mask[:, 1 : 1 + inputs.shape[1]].to(self.device).nonzero(as_tuple=True)
        # Layers are checkpointed in training mode only, and made again in whatever mode they
        # find on the way back; there is no dropout to switch on.
        self.model.train(self.gradient_checkpointing and torch.is_grad_enabled())
        with self._computing():
            states, logits, _ = self.model((rows, columns), input_ids=inputs, use_cache=False)
        scores = self.log_softmax(logits)
        chosen = ids.to(self.device)[rows, columns + 1]
        values = self.model.critic(states.float())[:, 0]

        def spread(flat: Tensor) -> Tensor:
            places = (rows.to(home), columns.to(home) + 1)
            return torch.zeros(ids.shape, device=home).index_put(places, flat.to(home))

        return Scores(
            log_probs=spread(scores.gather(1, chosen[:, None])[:, 0]),
            entropies=spread(-(scores.exp() * scores).sum(dim=1)),
            values=spread(values),
            states=states.float().to(home),
            distributions=scores.to(home) if distributions else None,
        )

    def save(self, folder: Path) -> None:
        """Writes a directory that `transformers` and vLLM load; a LoRA is merged into its base.

        Without a LoRA what is loaded again computes the very same. A merged one is rounded to
        the dtype of its base.
        """
        safetensors = require("safetensors.torch", extra="hf", why="Saving a controller")
        lm = self.model.lm
        if self.model.frozen:
            lm = copy.deepcopy(lm).float().merge_and_unload().to(self.dtype)
        lm.save_pretrained(folder)
        self.chat.tokenizer.save_pretrained(folder)
        critic = {name: value.contiguous() for name, value in self._critic().items()}
        safetensors.save_file(critic, folder / CRITIC_NAME)

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Log-probabilities in float32, (n, vocabulary); what is never said has none."""
        scores = logits.float().index_fill(1, self._never_said, _NEVER)
        return scores.log_softmax(dim=-1)

    def _critic(self) -> dict[str, Tensor]:
        return {
            name: value.detach().cpu() for name, value in self.model.critic.state_dict().items()
        }

    def _computing(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16
        )


@dataclass(slots=True)
class _Turn:
    """A turn while it is being said."""

    row: int
    dice: Random
    room: int
    """Tokens that it may have."""
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    finish: str = ""


class HuggingFaceSession:
    """Turns sampled in batches, with keys and values kept while they are said.

    Nothing is remembered from one turn to the next: what a conversation has in memory is many
    times its text, and reading it again goes in parallel.
    """

    def __init__(self, policy: HuggingFacePolicy) -> None:
        self.policy = policy

    @torch.no_grad()
    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        said = [Said([], [], "", "context")] * len(transcripts)
        sizes = [len(transcript.ids) for transcript in transcripts]
        fitting = [row for row, size in enumerate(sizes) if size < self.policy.context]
        fitting.sort(key=lambda row: sizes[row])
        while fitting:
            count = len(fitting)
            # The longest of those that are taken is the last of them.
            while count > 1 and count * (sizes[fitting[count - 1]] + how.max_tokens) > _CELLS:
                count -= 1
            rows, fitting = fitting[:count], fitting[count:]
            turns = [
                _Turn(
                    row, Random(seeds[row]), min(how.max_tokens, self.policy.context - sizes[row])
                )
                for row in rows
            ]
            self._say(turns, [transcripts[row].ids for row in rows], how)
            for turn in turns:
                text = self.policy.chat.decode(turn.ids)
                said[turn.row] = Said(turn.ids, turn.log_probs, text, turn.finish)
        return said

    def _say(self, turns: Sequence[_Turn], read: Sequence[list[int]], how: Speaking) -> None:
        policy, device = self.policy, self.policy.device
        policy.model.eval()
        longest = max(map(len, read))
        # Padded on the left: what is said then follows what was read, in each row.
        ids = torch.tensor([[0] * (longest - len(row)) + row for row in read], device=device)
        seen = torch.tensor(
            [[0] * (longest - len(row)) + [1] * len(row) for row in read], device=device
        )
        places = (seen.cumsum(dim=1) - 1).clamp(min=0)
        seats, cache = list(turns), None
        while True:
            here = torch.arange(len(seats), device=device)
            last = torch.full_like(here, ids.shape[1] - 1)
            with policy._computing():
                _, logits, cache = policy.model(
                    (here, last),
                    input_ids=ids,
                    attention_mask=seen,
                    position_ids=places,
                    past_key_values=cache,
                    use_cache=True,
                )
            chosen = self._choose(seats, policy.log_softmax(logits), how)
            live = [seat for seat, turn in enumerate(seats) if not turn.finish]
            if not live:
                return
            if 2 * len(live) <= len(seats):
                # Moving what is kept costs about as much as a step: when it halves the work.
                stay = torch.tensor(live, device=device)
                cache.batch_select_indices(stay)
                seats = [seats[seat] for seat in live]
                chosen, seen, places = chosen[stay], seen[stay], places[stay]
            ids = chosen[:, None]
            seen = torch.cat([seen, seen.new_ones(len(seats), 1)], dim=1)
            places = places[:, -1:] + 1

    def _choose(self, seats: Sequence[_Turn], scores: Tensor, how: Speaking) -> Tensor:
        """Adds a token to each turn that goes on; (seats,)."""
        if how.temperature > 0:
            # Dice of its own for each row: its tokens do not depend on who else is in the batch.
            heights = [[0.0 if turn.finish else turn.dice.random()] for turn in seats]
            drawn = torch.tensor(heights, dtype=torch.float64, device=scores.device)
            chosen = draw(scores / how.temperature, drawn)
        else:
            chosen = scores.argmax(dim=1)
        picked = scores.gather(1, chosen[:, None])[:, 0].tolist()
        for turn, token, log_prob in zip(seats, chosen.tolist(), picked, strict=True):
            if turn.finish:
                continue
            turn.ids.append(token)
            turn.log_probs.append(log_prob)
            if token in self.policy.chat.ends or self._stops(turn.ids, how.stops):
                turn.finish = "stop"
            elif len(turn.ids) >= turn.room:
                turn.finish = "length"
        return chosen

    def _stops(self, ids: list[int], stops: tuple[str, ...]) -> bool:
        """Whether the last token has completed a stop string, be it with something behind it."""
        if not stops:
            return False
        # A token is a byte at least, so that no more of them can be part of one.
        tail = self.policy.chat.decode(ids[-max(len(stop.encode()) for stop in stops) :])
        return any(stop in tail for stop in stops)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        # Made, not only named: `cuda` is a name on any machine.
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(f"policy.device: no device {name!r} here: {reason}") from None


def _dtype(name: Dtype, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return torch.float32 if name == "float32" else torch.bfloat16


def _without_dropout(config: Any) -> None:
    """A turn must be as probable in training as it was when it was sampled."""
    for name, value in config.to_dict().items():
        if isinstance(value, float) and ("dropout" in name or name.endswith("_pdrop")):
            setattr(config, name, 0.0)


def _with_lora(lm: Any, lora: Lora, seed: int) -> Any:
    peft = require("peft", extra="lora", why="A LoRA")
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(lora.targets) or "all-linear",
        lora_dropout=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            return peft.get_peft_model(lm, settings)
        except ValueError as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"policy.lora_targets: {reason}") from None
