"""Language models of Hugging Face that are small enough for any test, with random weights.

Their tokenizer is a real one, learned from a few lines. Only what is called needs torch,
transformers and tokenizers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\n"
    "You are terse.<|im_end|>\n{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""With a system prompt of its own, and a token that ends every turn."""
BRACKETS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content | trim }}"
    " [/INST]{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
)
"""Without a system prompt; tokens of plain text mark the turns, and messages are trimmed."""
_LINES = (
    '<call expert="nano"></call> <answer from="2"/> <answer>42</answer> Are you sure?',
    "What is the sum of the first numbers? user assistant system You are terse. [INST] [/INST]",
    '<result number="1" expert="large" spent="12%" agrees="1,2">17</result>',
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>")


def small_tokenizer(template: str | None = CHATML, *, end: str | None = "<|im_end|>") -> Any:
    """A byte-level tokenizer of at most 400 tokens."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    model = ByteLevelBPETokenizer()
    model.train_from_iterator(
        _LINES, vocab_size=400, min_frequency=1, special_tokens=list(SPECIALS), show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=model._tokenizer, bos_token="<s>", eos_token=end
    )
    tokenizer.chat_template = template
    return tokenizer


def save_llama(folder: Path, tokenizer: Any = None, **changes: Any) -> Path:
    """Rotary positions, tied embeddings, fewer heads for keys than for queries."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer or small_tokenizer()
    figures = {
        "vocab_size": 416,  # more than the tokenizer has, as embeddings often are
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.15,  # for distributions that are far from uniform
        "attention_dropout": 0.1,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "tie_word_embeddings": True,
    }
    return _save(LlamaForCausalLM, LlamaConfig(**(figures | changes)), tokenizer, folder)


def save_gpt2(folder: Path) -> Path:
    """Learned positions, which padding must not shift."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = small_tokenizer()
    config = GPT2Config(
        vocab_size=400,
        n_embd=48,
        n_layer=2,
        n_head=4,
        n_positions=512,
        initializer_range=0.2,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _save(GPT2LMHeadModel, config, tokenizer, folder)


def _save(kind: Any, config: Any, tokenizer: Any, folder: Path) -> Path:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(5)
        kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
