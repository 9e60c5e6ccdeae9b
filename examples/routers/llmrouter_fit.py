"""Fits six routers of LLMRouter on recorded verdicts, by its own trainers and in its own format.

In the virtualenv of llmrouter_router.py, and in this folder:

    corl-bench run --task synth:train --limit 300 -s "single:*" --out runs/train
    /opt/llmrouter/bin/python llmrouter_fit.py runs/train fitted

It learns who answers a problem *best*. Verdicts are 0 or 1, so several experts often are, and
LLMRouter takes the first row of the file, or the first name of the alphabet where neighbours' votes
tie. The tie rule here is the bench's: the expert whose answers were cheaper in training. For that,
rows go from cheap to dear, and names begin with their place in that order (`--ties dear`: the
reverse, which shows what the rule is worth). A problem that nobody solved counts for the first.

Settings are those of its published examples, where there is one, else its code's own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from llmrouter_router import ROUTERS
from minilm import WIDTH, embed
from recorded import read

SETTINGS: dict[str, dict[str, Any]] = {
    "knn": {"n_neighbors": 5},
    "svm": {"kernel": "rbf", "C": 1.0, "gamma": "scale"},
    "mlp": {"hidden_layer_sizes": [128, 64], "lr": 0.001, "epochs": 100, "alpha": 0.0001},
    "mf": {"latent_dim": 128, "text_dim": WIDTH, "lr": 0.001, "epochs": 5},
    "elo": {},
    "graph": {},
}


def main() -> None:
    """Reads a run, writes its rows as LLMRouter wants them, and trains."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", help="folder of a run of single:* on the training problems")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--ties", choices=("cheap", "dear"), default="cheap")
    asked = parser.parse_args()

    experts, known = read(asked.run)
    if asked.ties == "dear":
        experts.reverse()
    labels = {expert: f"{place:02} {expert}" for place, expert in enumerate(experts)}
    solved = [sum(right.values()) for _, right in known]
    print(
        f"best of a problem: the {asked.ties}est expert of those that tie;"
        f" {sum(count > 1 for count in solved)} of {len(known)} problems have several right"
        f" answers, {solved.count(0)} none"
    )
    folder = asked.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"query": text, "embedding_id": at, "model_name": label, "performance": right[expert]}
        for at, (text, right) in enumerate(known)
        for expert, label in labels.items()
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "routing.jsonl").write_text(lines, encoding="utf-8")
    torch.save({at: embed(text) for at, (text, _) in enumerate(known)}, folder / "embeddings.pt")
    for name in ROUTERS:
        train(name, folder, labels)


def train(name: str, folder: Path, labels: dict[str, str]) -> None:
    """One router: its configuration, and what its trainer makes of it."""
    weights = str(folder / (f"{name}.pt" if name == "graph" else f"{name}.pkl"))
    config = {
        "data_path": {
            "routing_data_train": str(folder / "routing.jsonl"),
            "query_embedding_data": str(folder / "embeddings.pt"),
        },
        "model_path": {
            "ini_model_path": "",
            "save_model_path": weights,
            "load_model_path": weights,
        },
        "hparam": SETTINGS[name],
    }
    if name == "graph":  # otherwise drawn at random, and anew when it is loaded
        config["llm_data"] = {
            label: {"embedding": embed(expert).tolist()} for expert, label in labels.items()
        }
    config_file = folder / f"{name}.yaml"
    config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
    torch.manual_seed(0)
    np.random.seed(0)
    router, trainer = ROUTERS[name]
    trainer(router(yaml_path=str(config_file)), device="cpu").train()


if __name__ == "__main__":
    main()
