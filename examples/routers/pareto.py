"""paretobandit (0.1.1), a contextual bandit with a cost penalty: `pip install paretobandit`.

In this folder:

    corl-bench run --task synth -s python:pareto:Pareto --train synth:train

It learns from scratch on the training rows. Its own embedding model is a download; hashed words
stand in for it here, which makes it a weaker router than its paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pareto_bandit import BanditRouter
from pareto_bandit.feature_service import FeatureService
from sklearn.feature_extraction.text import HashingVectorizer

WIDTH = 64
SEED = 0
"""It breaks ties at random; without a seed a resumed run would learn something else."""


class Pareto:
    """The bandit over the experts of the pool."""

    name = "paretobandit"

    def __init__(self, experts: Sequence[Any]) -> None:
        words = HashingVectorizer(n_features=WIDTH, alternate_sign=False)
        self._router = BanditRouter.create(
            model_registry={
                expert.name: {
                    "input_cost_per_m": float(expert.price.input_usd_per_mtok),
                    "output_cost_per_m": float(expert.price.output_usd_per_mtok),
                }
                for expert in experts
            },
            feature_service=FeatureService(
                custom_encoder=lambda text: words.transform([text]).toarray()[0],
                embedding_dim=WIDTH,
            ),
            priors="none",
            bandit_seed=SEED,
        )
        self._request_id = ""

    def decide(self, prompt: str) -> str:
        """The arm that it pulls; it remembers the request until it hears of it."""
        expert, log = self._router.route(prompt)
        self._request_id = log.request_id
        return str(expert)

    def learn(self, prompt: str, expert: str, reward: float) -> None:
        """Feedback on the last decision; costs it knows from the price list."""
        self._router.process_feedback(self._request_id, reward=reward)

    def freeze(self) -> None:
        """No exploration from now on."""
        self._router.bandit.alpha = 0.0
