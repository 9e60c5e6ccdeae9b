"""Fits RouteLLM's matrix factorization on recorded verdicts, by its own training code.

In the virtualenv of routellm_router.py, and in this folder:

    corl-bench run --task synth:train --limit 300 -s "single:*" --out runs/train
    /opt/routellm/bin/python routellm_fit.py runs/train mf --weak nano --strong large

A battle is won by an expert that was right on a problem against one that was not; where both were
right, or both wrong, nobody wins, and RouteLLM leaves the pair out. All experts of the run are
fitted together, the win rate of one pair is asked for. Settings are those of its training script.

Its trainer and its router name two of three layers differently, and the router's loader takes
weights without fitting names for none: they are renamed here, and checked when they are loaded.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
import yaml
from minilm import WIDTH, embed
from recorded import read
from routellm_router import check_weights, factorization, prepare  # before RouteLLM's trainer

# isort: split
from routellm.routers.matrix_factorization import train_matrix_factorization as trainer
from routellm.routers.routers import ROUTER_CLS

DIM = 128
RENAMED = {"text_proj.weight": "text_proj.0.weight", "classifier.weight": "classifier.0.weight"}


def main() -> None:
    """Reads a run, fits, and writes a checkpoint with RouteLLM's configuration beside it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", help="folder of a run of single:* on the training problems")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--weak", required=True)
    parser.add_argument("--strong", required=True)
    asked = parser.parse_args()

    experts, known = read(asked.run)
    settings = {
        "checkpoint_path": str(asked.out),
        "strong_model": asked.strong,
        "weak_model": asked.weak,
        "hidden_size": DIM,
        "num_models": len(experts),
        "text_dim": WIDTH,
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    config_file = asked.out / "routellm.yaml"
    config_file.write_text(yaml.safe_dump({"mf": settings, "experts": experts}), encoding="utf-8")
    prepare(str(config_file))

    battles = [
        {"model_a": winner, "model_b": loser, "idx": at, "winner": "model_a"}
        for at, (_, right) in enumerate(known)
        for winner in experts
        for loser in experts
        if right[winner] > right[loser]
    ]
    print(f"{len(battles)} battles; pairs that agree are left out")
    trained = fit([statement for statement, _ in known], battles, len(experts))

    model = factorization.MFModel(DIM, len(experts), WIDTH, num_classes=1, use_proj=True)
    model.load_state_dict({RENAMED.get(name, name): values for name, values in trained.items()})
    model.save_pretrained(asked.out)
    check_weights(ROUTER_CLS["mf"](**settings), settings["checkpoint_path"])


def fit(
    statements: list[str], battles: list[dict[str, object]], experts: int
) -> dict[str, torch.Tensor]:
    """RouteLLM's trainer; its weights without the questions' embeddings."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder, "embeddings.npy")
        np.save(vectors, torch.stack([embed(statement) for statement in statements]).numpy())
        net = trainer.MFModel_Train(DIM, experts, len(statements), WIDTH, npy_path=vectors)
    trainer.train_loops(
        net,
        trainer.PairwiseDataset(battles).get_dataloaders(batch_size=64),
        None,
        lr=3e-4,
        weight_decay=1e-5,
        alpha=0.1,
        num_epochs=100,
        device="cpu",
        evaluator=lambda net, rows, device: (0.0, 0.0),  # it only prints it, and keeps no epoch
    )
    return {name: values for name, values in net.state_dict().items() if name != "Q.weight"}


if __name__ == "__main__":
    main()
