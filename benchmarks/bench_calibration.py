"""False alarms and power: how often nothing is called drift, and how often something is found. Prints Markdown tables.

    python benchmarks/bench_calibration.py [--splits 200] [--evidently 20]

Null: random splits of real sets that do not change (census of one year; forest cover types, shuffled), so that every
alarm @@
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from aims_mlflow.config import AlarmRule, Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.evidence import Verdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.drift import measure_drift
from aims_mlflow.operation.alarms import judge
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import EPOCH, Window

ARCHIVE = Path(sys.prefix) / "share" / "elec2" / "scikit-multiflow-0.4.1.tar.gz"
COVER = "scikit-multiflow-0.4.1/src/skmultiflow/data/datasets/covtype.csv"
BUDGET = 0.05
LENGTH = timedelta(days=1)
PRIVACY = PrivacyPolicy()


def census() -> pd.DataFrame:
    """68,785 residents of Massachusetts in 2015: age, a model's score and 17 columns of categories."""
    folder = Path(str(distribution("nannyml").locate_file("nannyml/datasets/data")))
    frame = pd.read_parquet(folder / "employment_MA_reference.pq")
    frame = frame[[name for name in frame if name not in ("id", "timestamp", "year")]]
    return frame.assign(**{name: frame[name].astype(str) for name in frame if name not in NUMBERS})


def cover(rows: int = 100_000) -> pd.DataFrame:
    """Forest cover types (Blackard 1998): ten numbers and the kind of forest."""
    with tarfile.open(ARCHIVE) as archive:
        found = archive.extractfile(COVER)
        assert found is not None
        frame = pd.read_csv(found, usecols=[*range(10), 54], nrows=300_000)
    frame.columns = [*(f"number {k}" for k in range(10)), "kind"]
    return frame.sample(rows, random_state=0).reset_index(drop=True).assign(kind=frame["kind"].astype(str))


NUMBERS = frozenset({"AGEP", "predicted_probability", *(f"number {k}" for k in range(10))})


@dataclass(frozen=True)
class Found:
    """One comparison: the share of drifted columns for certain and at most, and the columns called drifted."""

    drifted: frozenset[str]
    tested: int
    uncertain: int

    @property
    def low(self) -> float:
        return len(self.drifted) / max(self.tested, 1)

    @property
    def high(self) -> float:
        return (len(self.drifted) + self.uncertain) / max(self.tested, 1)


Judge = Callable[[pd.DataFrame, pd.DataFrame], Found]


def _found(payload) -> Found:
    drifted = frozenset(c.column for c in payload.columns if c.verdict is Verdict.FAIL)
    return Found(drifted, payload.tested, payload.uncertain)


def rows_judge(budget: float | None) -> Judge:
    """Exact, from rows; without a budget each column stands at Evidently's own limit."""
    policy = DriftPolicy(false_alarm_budget=budget)

    def judged(reference: pd.DataFrame, current: pd.DataFrame) -> Found:
        pair = as_table(reference), as_table(current)
        return _found(measure_drift(*pair, policy=policy, columns=Columns(), privacy=PRIVACY))

    return judged


def summaries_judge(budget: float | None) -> Judge:
    """From the two sides' mergeable summaries, as a serving process ships them."""
    from aims_mlflow.measure.sketched import drift_of_profiles
    from aims_mlflow.sketches import Profile

    policy = DriftPolicy(false_alarm_budget=budget)

    def judged(reference: pd.DataFrame, current: pd.DataFrame) -> Found:
        plan = Profile.plan_of(as_table(reference), columns=Columns(), privacy=PRIVACY)
        sides = []
        for frame in (reference, current):
            content = Profile.of(as_table(frame), plan).to_bytes(smallest_cell=PRIVACY.smallest_cell)
            sides.append(Profile.from_bytes(content))
        payload = drift_of_profiles(*sides, policy=policy, columns=Columns(), privacy=PRIVACY, source="argument")
        return _found(payload)

    return judged


def evidently_judge() -> Judge:
    """Evidently's own DataDriftPreset, its defaults."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    def judged(reference: pd.DataFrame, current: pd.DataFrame) -> Found:
        told = Report([DataDriftPreset()], include_tests=True).run(current, reference).dict()
        pairs = [(m, t) for m, t in zip(told["metrics"], told["tests"], strict=True) if "column" in m["config"]]
        failed = frozenset(
            m["config"]["column"] for m, t in pairs if str(getattr(t["status"], "value", t["status"])) == "FAIL"
        )
        return Found(failed, len(pairs), 0)

    return judged


def splits(frame: pd.DataFrame, reference: int, window: int, times: int) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Random rows for the reference and other random rows for the window."""
    for seed in range(times):
        chosen = np.random.default_rng(seed).permutation(len(frame))[: reference + window]
        yield (
            frame.iloc[chosen[:reference]].reset_index(drop=True),
            frame.iloc[chosen[reference:]].reset_index(drop=True),
        )


def shifted(current: pd.DataFrame, frame: pd.DataFrame, columns: int, size: float) -> tuple[pd.DataFrame, set[str]]:
    """The first ``columns`` numbers moved by ``size`` standard deviations of the whole set."""
    chosen = [name for name in frame if name in NUMBERS][:columns]
    moved = {name: current[name] + size * float(frame[name].std()) for name in chosen}
    return current.assign(**moved), set(chosen)


def reshared(current: pd.DataFrame, frame: pd.DataFrame, size: float, seed: int) -> tuple[pd.DataFrame, set[str]]:
    """``size`` of all rows moved from the commonest category of the first category column to the second."""
    name = next(name for name in frame if name not in NUMBERS)
    first, second = frame[name].value_counts().index[:2]
    share = size / float((frame[name] == first).mean())
    drawn = np.random.default_rng(seed).random(len(current)) < share
    return current.assign(**{name: current[name].where(~((current[name] == first) & drawn), second)}), {name}


def alarms(found: list[Found], windows: int, above: float = 0.0) -> float:
    """Share of stretches of so many splits, as windows in a row, that raise `drift.drifted_share above ...`."""
    rule = AlarmRule(name="drift", number="drift.drifted_share", above=above, windows=windows)
    name = "drift.drifted_share"
    raised = []
    for begin in range(0, len(found) - windows + 1, windows):
        history = [
            WindowNumbers(
                Window(EPOCH + k * LENGTH, EPOCH + (k + 1) * LENGTH), {name: one.low}, {name: one.low}, {name: one.high}
            )
            for k, one in enumerate(found[begin : begin + windows])
        ]
        raised.append(judge((rule,), history, [])[0].state == "alarm")
    return float(np.mean(raised))


def null(frame: pd.DataFrame, reference: int, window: int, times: int, judged: Judge) -> list[Found]:
    return [judged(*pair) for pair in splits(frame, reference, window, times)]


def power(
    frame: pd.DataFrame, reference: int, window: int, times: int, judged: Judge, change: Callable
) -> tuple[float, float]:
    """Share of runs in which a shifted column is called drifted, and mean share of the shifted columns that are."""
    hits, shares = 0, []
    for seed, (base, current) in enumerate(splits(frame, reference, window, times)):
        moved, names = change(current, seed)
        called = judged(base, moved).drifted & names
        hits += bool(called)
        shares.append(len(called) / len(names))
    return hits / times, float(np.mean(shares))


def judges(evidently: bool) -> dict[str, Judge]:
    own: dict[str, Judge] = {"no budget": rows_judge(None), f"budget {BUDGET:g}": rows_judge(BUDGET)}
    if find_spec("aims_mlflow.measure.sketched"):
        own[f"summaries, budget {BUDGET:g}"] = summaries_judge(BUDGET)
    if evidently:
        own["Evidently"] = evidently_judge()
    return own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--evidently", type=int, default=20)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = {"census": census(), "forest cover": cover()}
    sizes = [(5000, 2000), (5000, 500), (1000, 500)]
    print("| set | reference / window | judged by | n | any column | any, 2 windows in a row | over half |")
    print("|---|---|---|---|---|---|---|")
    for title, frame in sets.items():
        for reference, window in sizes:
            for name, judged in judges(given.evidently > 0).items():
                times = given.evidently if name == "Evidently" else given.splits
                found = null(frame, reference, window, times, judged)
                told = [alarms(found, 1), alarms(found, 2), alarms(found, 1, above=0.5)]
                print(
                    f"| {title} | {reference:,} / {window:,} | {name} | {times} |",
                    " | ".join(f"{value:.3g}" for value in told),
                    "|",
                    flush=True,
                )
    print()
    changes: dict[str, tuple[str, Callable]] = {}
    for size in (0.1, 0.2, 0.5):
        for columns in (1, 5, 10):
            changes[f"{size:g} std on {columns} of 11"] = (
                "forest cover", lambda c, _, size=size, columns=columns: shifted(c, sets["forest cover"], columns, size)
            )  # fmt: skip
    for size in (0.05, 0.1, 0.2):
        changes[f"{size:.0%} of rows to another category"] = (
            "census", lambda c, seed, size=size: reshared(c, sets["census"], size, seed)
        )  # fmt: skip
    print("| shift | set | reference / window | judged by | n | found | of the shifted columns |")
    print("|---|---|---|---|---|---|---|")
    for told, (title, change) in changes.items():
        for reference, window in sizes[:2]:
            for name, judged in judges(given.evidently > 0).items():
                times = given.evidently if name == "Evidently" else given.splits // 2
                hit, share = power(sets[title], reference, window, times, judged, change)
                print(
                    f"| {told} | {title} | {reference:,} / {window:,} | {name} | {times} | {hit:.2f} | {share:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
