"""Names kept here that belong to others are compared with the others."""

import re
import sysconfig
from pathlib import Path

import pytest

from aims_mlflow.config import DRIFT_METHODS, METRIC_NAMES, Declaration, check_declaration, meant_metric, misspelt
from aims_mlflow.measure.performance.metrics import METRICS

PACKAGES = Path(sysconfig.get_path("purelib"))


def test_the_drift_methods_are_evidentlys_own():
    sources = (PACKAGES / "evidently" / "legacy" / "calculations" / "stattests").glob("*.py")
    found = {name for file in sources for name in re.findall(r'StatTest\(\s*name="(\w+)"', file.read_text())}
    assert found == set(DRIFT_METHODS)


def test_a_slip_of_the_pen_is_told_from_a_rule_of_ones_own():
    known = {"expect_column_values_to_be_between", "expect_column_values_to_not_be_null"}
    assert misspelt("expect_column_values_to_be_betwen", known)
    assert misspelt("not_null", known)
    assert not misspelt("expect_column_values_to_be_between", known)
    assert not misspelt("expect_house_policy_to_hold", known)


def test_the_names_of_metrics_are_the_measurements_own():
    assert set(METRIC_NAMES) == METRICS


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("acuracy", "accuracy"),
        ("Accuracy", "accuracy"),
        ("ROC-AUC", "roc_auc"),
        ("roc_acu", "roc_auc"),
        ("f1_marco", "f1_macro"),
        ("recal", "recall"),
        ("mean_absolut_error", "mean_absolute_error"),
        ("matthews_corcoef", "matthews_corrcoef"),
    ],
)
def test_a_misspelt_metric_is_a_mistake_with_the_name_that_was_meant(wrong, meant):
    assert meant_metric(wrong) == meant
    (problem,) = check_declaration({"performance": {"metrics": {wrong: {"min": 0.5}}}})
    assert problem.message == f"unknown metric {wrong!r}; did you mean {meant!r}?"


@pytest.mark.parametrize(
    "own",
    [
        *[
            "mape",
            "msle",
            "rmsle",
            "mase",
            "nmse",
            "precision_micro",
            "recall_weighted",
            "median_absolute_error",
            "f2_score",
        ],
        *[
            "mean_squared_log_error",
            "val_accuracy",
            "accuracy@5",
            "accuracy2",
            "profit",
            "auc",
            "map",
            "brier_skill_score",
        ],
        *METRIC_NAMES,
    ],
)
def test_metrics_that_are_others_or_right_are_no_mistake(own):
    assert meant_metric(own) is None
    assert check_declaration(Declaration.model_validate({"performance": {"metrics": {own: {"min": 0.5}}}})) == ()
