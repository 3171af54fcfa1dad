"""A frame with marked values and rules of every type Great Expectations knows: passing, failing and raising."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

MARKER = "MARKER"
"""Every text in the frame starts with it."""

MARKED_NUMBERS = (987654.321, -987654.321)
"""Planted as maximum and minimum of column ``f``."""

ROWS = 400
LABELS = ["MARKER_alpha", "MARKER_beta", "MARKER_gamma"]


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    numbers = rng.normal(50, 10, ROWS)
    numbers[rng.random(ROWS) < 0.1] = np.nan
    numbers[[10, 20]] = MARKED_NUMBERS
    labels = rng.choice(LABELS, ROWS).astype(object)
    labels[rng.random(ROWS) < 0.05] = None
    return pd.DataFrame(
        {
            "f": numbers,
            "g": rng.normal(0, 1, ROWS),
            "i": rng.integers(0, 50, ROWS),
            "j": rng.integers(0, 50, ROWS),
            "id": np.arange(ROWS),
            "s": pd.Series(labels),
            "t": pd.Series([f"MARKER{k % 40:02d}@x.org" for k in range(ROWS)]),
            "js": pd.Series([f'{{"a": "MARKER{k}"}}' if k % 7 else "{MARKER bad" for k in range(ROWS)]),
            "when": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
            "iso": [str(day.date()) for day in pd.date_range("2024-01-01", periods=ROWS)],
            "b": rng.random(ROWS) < 0.5,
            "none": pd.Series([None] * ROWS, dtype=object),
            "nan": np.full(ROWS, np.nan),
            "up": np.arange(ROWS) * 1.0,
            "cat": pd.Categorical(rng.choice(LABELS, ROWS)),
            "o": pd.Series([k if k % 2 else f"MARKER{k}" for k in range(ROWS)], dtype=object),
        }
    )


def _on(kind: str, column: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_column_{kind}", "kwargs": {"column": column, **kwargs}}


def _pair(kind: str, first: str, second: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_column_pair_{kind}", "kwargs": {"column_A": first, "column_B": second, **kwargs}}


def _many(kind: str, *columns: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": {"column_list": list(columns), **kwargs}}


def _table(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_table_{kind}", "kwargs": kwargs}


def _basic() -> list[dict[str, Any]]:
    return [
        rule
        for column in ("f", "s", "none", "id", "not_there")
        for rule in (
            _on("values_to_not_be_null", column),
            _on("values_to_not_be_null", column, mostly=0.9),
            _on("values_to_be_null", column),
            _on("values_to_be_unique", column),
            _on("to_exist", column),
        )
    ]


def _values() -> list[dict[str, Any]]:
    return [
        _on("values_to_be_between", "f", min_value=20, max_value=80),
        _on("values_to_be_between", "f", min_value=45, mostly=0.5),
        _on("values_to_be_between", "f", max_value=45, strict_max=True),
        _on("values_to_be_between", "f", min_value=9, max_value=3),
        _on("values_to_be_between", "f"),
        _on("values_to_be_between", "i", min_value=0, max_value=50),
        _on("values_to_be_between", "s", min_value=0, max_value=5),
        _on("values_to_be_between", "b", min_value=0, max_value=1),
        _on("values_to_be_between", "nan", min_value=0, max_value=1),
        _on("values_to_be_between", "o", min_value=0, max_value=1),
        _on("values_to_be_in_set", "s", value_set=LABELS[:2]),
        _on("values_to_be_in_set", "s", value_set=LABELS[:2], mostly=0.5),
        _on("values_to_be_in_set", "none", value_set=["a"]),
        _on("values_to_be_in_set", "i", value_set=list(range(50))),
        _on("values_to_be_in_set", "cat", value_set=LABELS[1:]),
        _on("values_to_not_be_in_set", "s", value_set=LABELS[:1]),
        _on("values_to_not_be_in_set", "i", value_set=[-1]),
        _on("values_to_be_of_type", "f", type_="float64"),
        _on("values_to_be_of_type", "f", type_="int64"),
        _on("values_to_be_of_type", "o", type_="int"),
        _on("values_to_be_of_type", "s", type_="str"),
        _on("values_to_be_of_type", "cat", type_="str"),
        _on("values_to_be_in_type_list", "i", type_list=["int64", "float64"]),
        _on("values_to_be_in_type_list", "o", type_list=["int", "str"]),
        _on("values_to_be_in_type_list", "when", type_list=["datetime64"]),
        _on("type_to_be", "f", type_="float64"),
        _on("values_to_be_increasing", "up"),
        _on("values_to_be_increasing", "f"),
        _on("values_to_be_decreasing", "up"),
        _on("values_to_be_decreasing", "s"),
        _on("value_z_scores_to_be_less_than", "g", threshold=2, double_sided=True),
        _on("value_z_scores_to_be_less_than", "s", threshold=2, double_sided=True),
        _on("values_to_not_be_outliers", "g", method="iqr", multiplier=1.5),
    ]


def _texts() -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    return [
        _on("value_lengths_to_be_between", "t", min_value=1, max_value=12),
        _on("value_lengths_to_equal", "t", value=14),
        _on("value_lengths_to_equal", "s", value=11, mostly=0.1),
        _on("value_lengths_to_be_between", "f", min_value=1),
        _on("values_to_match_regex", "t", regex=r"@x\.org$"),
        _on("values_to_match_regex", "s", regex="^MARKER_b"),
        _on("values_to_not_match_regex", "s", regex="^MARKER_b"),
        _on("values_to_match_regex", "f", regex="a"),
        _on("values_to_match_regex_list", "s", regex_list=["alpha", "MARKER_beta"], match_on="any"),
        _on("values_to_not_match_regex_list", "s", regex_list=["alpha", "MARKER_beta"]),
        _on("values_to_match_like_pattern", "s", like_pattern="MARKER%"),
        _on("values_to_match_like_pattern_list", "s", like_pattern_list=["MARKER%"]),
        _on("values_to_not_match_like_pattern", "s", like_pattern="MARKER%"),
        _on("values_to_not_match_like_pattern_list", "s", like_pattern_list=["MARKER%"]),
        _on("values_to_match_strftime_format", "iso", strftime_format="%Y-%m-%d"),
        _on("values_to_match_strftime_format", "s", strftime_format="%Y"),
        _on("values_to_be_dateutil_parseable", "iso"),
        _on("values_to_be_dateutil_parseable", "s"),
        _on("values_to_be_json_parseable", "js"),
        _on("values_to_match_json_schema", "js", json_schema=schema, mostly=0.1),
    ]


def _aggregates() -> list[dict[str, Any]]:
    quantiles = {"quantiles": [0.1, 0.5], "value_ranges": [[0, 100], [0, 10]]}
    shares = {"values": LABELS, "weights": [0.3, 0.3, 0.4]}
    return [
        _on("mean_to_be_between", "f", min_value=0, max_value=60),
        _on("mean_to_be_between", "s", min_value=0, max_value=60),
        _on("mean_to_be_between", "nan", min_value=0, max_value=60),
        _on("median_to_be_between", "f", min_value=0, max_value=10),
        _on("min_to_be_between", "f", min_value=40),
        _on("max_to_be_between", "f", max_value=1000),
        _on("max_to_be_between", "s", max_value="zzz"),
        _on("max_to_be_between", "id", max_value=1000),
        _on("stdev_to_be_between", "f", min_value=5, max_value=15),
        _on("sum_to_be_between", "f", min_value=5, max_value=15),
        _on("sum_to_be_between", "none", min_value=5, max_value=15),
        _on("quantile_values_to_be_between", "f", quantile_ranges=quantiles),
        _on("unique_value_count_to_be_between", "s", min_value=1, max_value=3),
        _on("proportion_of_unique_values_to_be_between", "id", min_value=1),
        _on("proportion_of_unique_values_to_be_between", "none", min_value=0),
        _on("proportion_of_non_null_values_to_be_between", "f", min_value=0.5),
        _on("most_common_value_to_be_in_set", "s", value_set=LABELS[:1]),
        _on("most_common_value_to_be_in_set", "s", value_set=LABELS),
        _on("distinct_values_to_be_in_set", "s", value_set=LABELS[:1]),
        _on("distinct_values_to_be_in_set", "none", value_set=LABELS[:1]),
        _on("distinct_values_to_contain_set", "s", value_set=LABELS[:1]),
        _on("distinct_values_to_equal_set", "s", value_set=LABELS),
        _on("kl_divergence_to_be_less_than", "s", partition_object=shares, threshold=0.1),
        _on("kl_divergence_to_be_less_than", "s", partition_object=shares, threshold=0.000001),
        _on("bootstrapped_ks_test_p_value_to_be_greater_than", "g"),
        _on("chisquare_test_p_value_to_be_greater_than", "s"),
        _on("parameterized_distribution_ks_test_p_value_to_be_greater_than", "g"),
    ]


def _several_columns() -> list[dict[str, Any]]:
    return [
        _pair("values_to_be_equal", "i", "i"),
        _pair("values_to_be_equal", "i", "j"),
        _pair("values_a_to_be_greater_than_b", "up", "g"),
        _pair("values_a_to_be_greater_than_b", "i", "s"),
        _pair("values_to_be_in_set", "b", "b", value_pairs_set=[(True, True), (False, False)]),
        _pair("values_to_be_in_set", "s", "s", value_pairs_set=[(label, label) for label in LABELS[:2]]),
        _pair("cramers_phi_value_to_be_less_than", "s", "cat"),
        _many("compound_columns_to_be_unique", "i", "j"),
        _many("compound_columns_to_be_unique", "i", "id"),
        _many("multicolumn_sum_to_equal", "i", "j", sum_total=7),
        _many("multicolumn_values_to_be_equal", "i", "j"),
        _many("multicolumn_values_to_be_unique", "i", "j"),
        _many("select_column_values_to_be_unique_within_record", "i", "j", mostly=0.5),
        _many("select_column_values_to_be_unique_within_record", "none", "nan"),
    ]


def _tables() -> list[dict[str, Any]]:
    return [
        _table("row_count_to_be_between", min_value=1),
        _table("row_count_to_be_between", max_value=3),
        _table("row_count_to_equal", value=ROWS),
        _table("column_count_to_equal", value=3),
        _table("column_count_to_be_between", min_value=3),
        _table("columns_to_match_set", column_set=["f", "g"], exact_match=False),
        _table("columns_to_match_set", column_set=["f", "zz"], exact_match=True),
        _table("columns_to_match_ordered_list", column_list=["f", "g"]),
        _table("row_count_to_equal_other_table", other_table_name="x"),
        {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "select * from {batch}"}},
        {"type": "expect_query_results_to_match_comparison", "kwargs": {}},
        _on("to_exist", "g", column_index=1),
        _on("to_exist", "g", column_index=4),
    ]


def conditional() -> list[dict[str, Any]]:
    """Rules for some rows only."""
    some = {"row_condition": 's=="MARKER_alpha"', "condition_parser": "pandas"}
    nobody = {"row_condition": 's=="nobody"', "condition_parser": "pandas"}
    return [
        _on("values_to_be_between", "f", min_value=30, max_value=60, **some),
        _on("values_to_not_be_null", "f", **some),
        _on("values_to_be_between", "f", min_value=30, **nobody),
        _table("row_count_to_be_between", min_value=300, **some),
        _on("values_to_be_unique", "id", row_condition="nope > 3", condition_parser="pandas"),
    ]


def conditional_numbers() -> list[dict[str, Any]]:
    """Numbers over some rows only: the public path does not say over how many."""
    return [
        _on("mean_to_be_between", "f", min_value=-9e9, row_condition='s=="MARKER_alpha"', condition_parser="pandas"),
        _on("mean_to_be_between", "f", min_value=0, row_condition='s=="nobody"', condition_parser="pandas"),
        _on("mean_to_be_between", "f", min_value=0, row_condition="f > 900000", condition_parser="pandas"),
    ]


def rules() -> list[dict[str, Any]]:
    return [*_basic(), *_values(), *_texts(), *_aggregates(), *_several_columns(), *_tables(), *conditional()]
