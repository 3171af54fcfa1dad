"""Text columns: how well a linear classifier tells the two sides apart, as Evidently does it.

Words are weighed by TF-IDF, half of the rows train an SGD classifier, the ROC AUC on the other half is the score.
scikit-learn is imported when a text column is tested; seeds are Evidently's, so the same texts in the same order give
the same score.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

from aims_mlflow.errors import InputError
from aims_mlflow.measure.drift.effect import classifier_auc
from aims_mlflow.measure.drift.methods import Method
from aims_mlflow.measure.drift.noise import Sampling

AUTO_ROWS = 100_000
"""More rows of text, both sides together, are tested only where the policy pins the method: it takes seconds."""


@dataclass(frozen=True)
class TextScore:
    """The AUC on the held-out half, its limit, and the rows of either side in that half."""

    auc: float
    limit: float
    reference: int
    current: int


def text_score(reference: Sequence[str], current: Sequence[str], method: Method, threshold: float) -> TextScore:
    """Score two non-empty lists of texts.

    Raises:
        InputError: too few rows, or no word is left after stop words.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import SGDClassifier
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import Pipeline
    except ImportError:
        msg = "text columns need scikit-learn"
        raise InputError(msg, remedy="Install scikit-learn, or skip the column.") from None
    texts = [*reference, *current]
    side = np.repeat([0, 1], [len(reference), len(current)])
    steps = [
        ("vectorization", TfidfVectorizer(sublinear_tf=True, max_df=0.5, stop_words="english")),
        ("classification",
         SGDClassifier(alpha=0.0001, max_iter=50, penalty="l1", loss="modified_huber", random_state=42)),
    ]  # fmt: skip
    try:
        with warnings.catch_warnings():
            # The classifier stops after 50 rounds by definition; that it might go on is nothing to tell the caller.
            warnings.simplefilter("ignore")
            train, test, y_train, y_test = train_test_split(texts, side, test_size=0.5, random_state=42, shuffle=True)
            pipeline = Pipeline(steps)
            pipeline.fit(train, y_train)
            auc = float(roc_auc_score(y_test, pipeline.predict_proba(test)[:, 1]))
    except ValueError as error:
        msg = f"the texts are too few or hold no words to compare ({type(error).__name__})"
        raise InputError(msg) from None
    if not np.isfinite(auc):
        msg = "the texts are too few to compare"
        raise InputError(msg)
    ones = int(y_test.sum())
    limit = _chance_percentile(y_test, threshold) if method.name == "perc_text_content_drift" else threshold
    return TextScore(auc, limit, len(y_test) - ones, ones)


def _chance_percentile(labels: np.ndarray, level: float) -> float:
    """The AUC that a random guess stays below with probability ``level``: 1,000 guesses, Evidently's seeds."""
    seeds = np.random.RandomState(42).randint(0, 10_000, size=1000)
    ones = int(labels.sum())
    zeros = len(labels) - ones
    found = np.empty(len(seeds))
    for place, seed in enumerate(seeds):
        guesses = np.random.RandomState(seed).rand(len(labels))
        ranks = np.empty(len(labels))
        ranks[np.argsort(guesses)] = np.arange(1, len(labels) + 1)
        found[place] = (ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return float(np.percentile(found, 100 * (1 - (1 - level))))


def text_sampling(score: TextScore, confidence: float) -> Sampling:
    """Interval of the AUC and its null probabilities (normal limit of the Mann-Whitney statistic)."""
    n, m = score.reference, score.current
    spread = sqrt((n + m + 1) / (12 * n * m))

    def tail(auc: float) -> float:
        return erfc((auc - 0.5) / spread / sqrt(2)) / 2

    return Sampling(classifier_auc(score.auc, n, m, confidence), tail(score.auc), tail(score.limit))
