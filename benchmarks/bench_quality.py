"""CPU seconds and memory of the quality engine against Great Expectations' public path, same rules, same frame.

Run ``python benchmarks/bench_quality.py [rows ...]``; the default is 100,000 and 1,000,000 rows of 20 columns: 12 of
floats (3 with 2 % NaN), 4 of integers, 3 of labels (3, 10, 50 levels), one id; one column is spread threefold so that
its range rule fails. Both sides are warm (imports and first use apart); a figure is the median of the repeats. Memory
is what Python's allocator saw at its peak (Arrow's own buffers apart), in multiples of the frame. Times depend on the
machine, ratios little.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.config import Columns, DataQualityPolicy
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import Suite, as_suite, measure_quality, profile_table, suite_in_force

REPEATS = 5


def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for place in range(12):
        values = rng.normal(place, 1 + place / 3, rows)
        if place < 3:
            values[rng.random(rows) < 0.02] = np.nan
        columns[f"f{place}"] = values
    for place in range(4):
        columns[f"i{place}"] = rng.integers(0, 10 ** (place + 1), rows)
    for levels in (3, 10, 50):
        columns[f"c{levels}"] = rng.choice([f"label {level}" for level in range(levels)], rows)
    columns["id"] = np.arange(rows) + 10**9
    return pd.DataFrame(columns)


def written_suite(data: pd.DataFrame) -> Suite:
    """63 rules as a user writes them: existence and nulls of each column, ranges, sets, one uniqueness, two types."""
    rules: list[dict[str, Any]] = [{"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}]
    for name in data.columns:
        rules.append({"type": "expect_column_to_exist", "kwargs": {"column": name}})
        rules.append({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": name, "mostly": 0.93}})
    for name in data.columns.drop("id"):
        if name.startswith("c"):
            kwargs = {"column": name, "value_set": sorted(data[name].unique().tolist()), "mostly": 0.99}
            rules.append({"type": "expect_column_values_to_be_in_set", "kwargs": kwargs})
        else:
            low, high = np.nanquantile(data[name], [0.01, 0.99])
            margin = float(high - low) / 2
            kwargs = {"column": name, "min_value": low - margin, "max_value": high + margin, "mostly": 0.99}
            rules.append({"type": "expect_column_values_to_be_between", "kwargs": kwargs})
    rules.append({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}})
    for name, kind in (("f3", "float64"), ("i3", "int64")):
        rules.append({"type": "expect_column_values_to_be_of_type", "kwargs": {"column": name, "type_": kind}})
    return as_suite(rules)


def derived_suite(reference: pd.DataFrame) -> Suite:
    columns, policy = Columns(ids=("id",), target="c3"), DataQualityPolicy()
    profile = profile_table(as_table(reference), policy=policy, columns=columns)
    return suite_in_force(Suite("derived"), policy=policy, columns=columns, profile=profile)


def public_path(data: pd.DataFrame, suite: Suite) -> list[bool]:
    """Great Expectations as its documentation shows it, results without values."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("bench").add_dataframe_asset("bench")
    batch = asset.add_batch_definition_whole_dataframe("bench").get_batch(batch_parameters={"dataframe": data})
    rules = [{"type": r.type, "kwargs": dict(r.kwargs), "meta": {"place": n}} for n, r in enumerate(suite.rules)]
    answer = batch.validate(
        gx.ExpectationSuite(name="bench", expectations=rules),
        result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
    )
    found = {result.expectation_config.meta["place"]: bool(result.success) for result in answer.results}
    return [found[place] for place in range(len(rules))]


def cpu(run: Callable[[], Any]) -> float:
    """Median CPU seconds."""
    seconds = []
    for _ in range(REPEATS):
        gc.collect()
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def peak(run: Callable[[], Any]) -> float:
    """Peak of extra memory, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def row(rows: int, name: str, data: pd.DataFrame, suite: Suite) -> str:
    size = float(data.memory_usage(index=False, deep=False).sum())
    table = as_table(data)

    def ours() -> Any:
        return measure_quality(table, rules=suite)

    mine, theirs = [r.verdict == "pass" for r in ours().rules], public_path(data, suite)
    different = sum(a != b for a, b in zip(mine, theirs, strict=True))
    fast, slow = cpu(ours), cpu(lambda: public_path(data, suite))
    extra, extra_public = peak(ours) / size, peak(lambda: public_path(data, suite)) / size
    return (
        f"| {rows:,} x {data.shape[1]} | {name} ({len(suite.rules)}) | {slow:.3f} | {fast:.3f} | {slow / fast:.1f} x "
        f"| {different} | {extra_public:.2f} x | {extra:.2f} x |"
    )


def main(sizes: list[int]) -> None:
    print("| frame | rules | public, CPU s | ours, CPU s | ratio | other verdicts | public, extra memory | ours |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in sizes:
        reference, data = frame(rows), frame(rows, seed=1)
        data["f5"] = data["f5"] * 3
        print(row(rows, "written", data, written_suite(reference)), flush=True)
        print(row(rows, "derived", data, derived_suite(reference)), flush=True)
        seconds = cpu(lambda reference=reference: derived_suite(reference))
        print(f"| {rows:,} x 20 | profile and derive | - | {seconds:.3f} | - | - | - | - |", flush=True)


if __name__ == "__main__":
    main([int(float(size)) for size in sys.argv[1:]] or [100_000, 1_000_000])
