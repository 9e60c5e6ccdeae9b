r"""TF-IDF of statements in LaTeX and English, computed alike in fitting and in routing.

scikit-learn chooses the terms and their weights; what a text becomes is computed here, so that
a fitted router needs neither scikit-learn nor an object that only it can load.

    >>> list(terms(r"Find $\frac{1}{2}$ of 12"))[:6]
    ['find', '\\frac', '1', '2', 'of', '12']
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from corl_bench.errors import ConfigError
from corl_bench.extras import require

MOST_TERMS = 4096
"""The commonest are kept, so that examples fit into memory as a plain table."""
LEAST_TEXTS = 2
"""A term of fewer texts says nothing of others."""

_WORD = re.compile(r"\\?[A-Za-z]+|\d+|[=<>+*/^|]")


@dataclass(frozen=True, slots=True)
class Tfidf:
    """Terms and their inverse document frequencies.

    A text is the vector of (1 + ln count) × idf over its terms, scaled to length 1: the
    weights of scikit-learn's `TfidfVectorizer` with `sublinear_tf` and `smooth_idf`.
    """

    terms: tuple[str, ...]
    idf: NDArray[np.float64]
    """(terms,)"""

    @property
    def width(self) -> int:
        return len(self.terms)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts, terms); a text without a known term is all zeros."""
        place = {term: index for index, term in enumerate(self.terms)}
        table = np.zeros((len(texts), self.width))
        for row, text in enumerate(texts):
            counts = Counter(place[term] for term in terms(text) if term in place)
            if not counts:
                continue
            found = np.array(sorted(counts))
            weights = (1 + np.log([counts[index] for index in found])) * self.idf[found]
            table[row, found] = weights / np.sqrt(np.sum(weights**2))
        return table


def fit_tfidf(texts: Sequence[str]) -> Tfidf:
    """Chooses terms and weights.

    Raises:
        ConfigError: no term stands in two texts.
        MissingExtraError: scikit-learn is not installed.
    """
    library = require("sklearn.feature_extraction.text", extra="learned", why="fitting a router")
    vectorizer = library.TfidfVectorizer(
        analyzer=lambda text: list(terms(text)),
        min_df=LEAST_TEXTS,
        max_features=MOST_TERMS,
        sublinear_tf=True,
    )
    try:
        vectorizer.fit(texts)
    except ValueError as error:
        raise ConfigError(f"no TF-IDF of these texts: {error}") from error
    return Tfidf(tuple(vectorizer.get_feature_names_out()), np.asarray(vectorizer.idf_, float))


def terms(text: str) -> Iterator[str]:
    """Words, commands, numbers and signs in lower case, then each pair of neighbours."""
    words = [match.lower() for match in _WORD.findall(text)]
    yield from words
    for first, second in pairwise(words):
        yield f"{first} {second}"
