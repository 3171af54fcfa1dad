"""What an assessment and a finding look like to somebody who prints them."""

from aims_mlflow.assessment import Status
from aims_mlflow.evidence import ModelRef
from aims_mlflow.testing import sample_assessment

JUDGED = sample_assessment()


def test_an_assessment_is_short_to_look_at_and_plain_to_print():
    assert JUDGED.in_short == "8 of 69 satisfied; 61 open"
    version = JUDGED.model_copy(
        update={"subject": JUDGED.subject.model_copy(update={"model": ModelRef(registered_name="m", version="3")})}
    )
    alone = JUDGED.model_copy(update={"subject": JUDGED.subject.model_copy(update={"model": None})})
    assert repr(version) == "<Assessment of m version 3: fail, 8 of 69 satisfied; 61 open>"
    assert repr(alone) == f"<Assessment of run {JUDGED.subject.run.run_id}: fail, 8 of 69 satisfied; 61 open>"
    assert str(JUDGED) == f"fail: {JUDGED.headline}"
    assert f"{JUDGED}" == str(JUDGED)


def test_a_finding_is_short_to_look_at_and_plain_to_print():
    finding = next(f for f in JUDGED.findings if f.id == "A.7.4")
    assert repr(finding) == f"<Finding A.7.4: {finding.status}>"
    assert str(finding) == f"A.7.4 {finding.title}: {finding.status}. {finding.reason}"
    assert len(repr(list(JUDGED.findings))) < 70 * 60


def test_rows_that_do_not_apply_are_not_counted():
    all_of_it = tuple(f.model_copy(update={"status": Status.NOT_APPLICABLE}) for f in JUDGED.findings)
    assert JUDGED.model_copy(update={"findings": all_of_it}).in_short == "0 of 0 satisfied; 0 open"
