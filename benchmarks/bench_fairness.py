"""Group metrics: one confusion table per group against fairlearn's MetricFrame, CPU seconds, same numbers.

python benchmarks/bench_fairness.py [--rows 100000 1000000]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import warnings

import numpy as np
import pandas as pd


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(work, repeats):
    spent, value = [], None
    for _ in range(repeats):
        start = cpu()
        value = work()
        spent.append(cpu() - start)
    return statistics.median(spent), value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    from fairlearn.metrics import (
        MetricFrame,
        demographic_parity_ratio,
        equalized_odds_difference,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )

    from aims_mlflow.config import FairnessPolicy
    from aims_mlflow.measure.fairness import measure_fairness

    print("| rows | fairlearn, CPU s | ours, CPU s | ratio | largest difference |")
    print("|---|---|---|---|---|")
    for rows in options.rows:
        rng = np.random.default_rng(0)
        group = pd.Series(rng.choice(["a", "b", "c", "d"], rows), dtype="category")
        truth, predicted = rng.integers(0, 2, rows), rng.integers(0, 2, rows)

        def theirs(truth=truth, predicted=predicted, group=group):
            named = {
                "selection_rate": selection_rate,
                "true_positive_rate": true_positive_rate,
                "false_positive_rate": false_positive_rate,
            }
            frame = MetricFrame(metrics=named, y_true=truth, y_pred=predicted, sensitive_features=group)
            ratio = demographic_parity_ratio(truth, predicted, sensitive_features=group)
            return frame.by_group, ratio, equalized_odds_difference(truth, predicted, sensitive_features=group)

        def ours(truth=truth, predicted=predicted, group=group):
            return measure_fairness(truth, predicted, {"g": group}, policy=FairnessPolicy(), safe_labels={"g"})

        ours()
        spent_theirs, found_theirs = timed(theirs, 1)
        spent_ours, found = timed(ours, 5)
        by_group, ratio, odds = found_theirs
        gaps = {f"{d.metric}_{d.statistic}": d.estimate.value for d in found.disparities}
        off = [abs(gaps["selection_rate_ratio"] - ratio), abs(gaps["equalized_odds_difference"] - odds)]
        off += [abs(g.metrics[m].value - by_group.loc[g.group, m]) for g in found.groups for m in by_group.columns]
        print(
            f"| {rows:,} | {spent_theirs:.2f} | {spent_ours:.3f} | {spent_theirs / spent_ours:.0f} | {max(off):.0e} |"
        )


if __name__ == "__main__":
    main()
