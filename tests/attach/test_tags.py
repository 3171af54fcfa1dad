"""Tags stay within the limits of every database, metric names within MLflow's."""

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.assessment import Status
from aims_mlflow.attach.tags import assessment_tags, metric_name, shorten
from aims_mlflow.testing import sample_assessment


@given(st.text(min_size=1, max_size=400))
def test_any_column_name_gives_a_metric_name_mlflow_takes(text):
    from mlflow.utils.validation import _validate_metric_name

    name = metric_name(text)
    _validate_metric_name(f"aims_drift/data/score_over_limit/{name}")


@given(st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=2, unique=True))
def test_two_columns_never_share_a_metric(names):
    assert metric_name(names[0]) != metric_name(names[1])


def test_a_long_value_is_cut_in_sight():
    value = " ".join(f"A.{n}" for n in range(3000))
    assert len(shorten(value)) <= 5000
    assert shorten(value).endswith(" …")
    assert shorten("short") == "short"


@pytest.mark.parametrize("name", ["a b", "größe", "<script>", "a/b", "x" * 300, "."])
def test_odd_names_are_logged_for_real(mlflow_store, name):
    with mlflow.start_run() as run:
        mlflow.log_metric(f"aims_drift/{metric_name(name)}", 1.0)
    assert len(mlflow.get_run(run.info.run_id).data.metrics) == 1


def test_the_attention_tag_never_says_none_while_rows_are_open():
    judged = sample_assessment()
    said = assessment_tags(judged)["aims.attention"]
    assert said == f"8 of 69 satisfied; 61 open; look first at {' '.join(judged.attention)}"
    calm = tuple(
        f.model_copy(update={"status": Status.SATISFIED}) if f.id in judged.attention else f for f in judged.findings
    )
    quiet = judged.model_copy(update={"findings": calm, "attention": ()})
    assert assessment_tags(quiet)["aims.attention"] == "13 of 69 satisfied; 56 open"
    done = tuple(f.model_copy(update={"status": Status.SATISFIED}) for f in judged.findings)
    assert assessment_tags(quiet.model_copy(update={"findings": done}))["aims.attention"] == "none"
