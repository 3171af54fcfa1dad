"""The steps of an incident: what is allowed, what is missing, and what cannot be; each a clear error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from aims_mlflow.errors import InputError
from aims_mlflow.management import incident_steps as steps
from aims_mlflow.management.incidents import (
    AffectedVersion,
    CorrectiveAction,
    EffectivenessCheck,
    IncidentContent,
    NonconformityContent,
    Notice,
)

AWARE = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def incident(**fields):
    return IncidentContent(**{"title": "Scores shifted", "severity": "serious", "aware_at": AWARE} | fields)


def finding(**fields):
    return NonconformityContent(**{"title": "No review", "rows": ("9.3.1",), "found_at": AWARE} | fields)


def action(**fields):
    return CorrectiveAction(**{"what": "Audit the labels", "owner": "Data lead", "due": AWARE + 30 * DAY} | fields)


def check(at=AWARE + 5 * DAY, **fields):
    return EffectivenessCheck(
        **{"at": at, "by": "Validation", "effective": True, "how": "two weeks of scores"} | fields
    )


def handled(content):
    """Everything closing needs, step by step."""
    made = steps.corrected(content, "taken out", at=AWARE + DAY)
    made = steps.explained(made, "wrong labels", at=AWARE + DAY)
    made = steps.planned(made, action(), at=AWARE + DAY)
    made = steps.done(made, 1, AWARE + 2 * DAY, at=AWARE + 2 * DAY)
    made = steps.checked(made, check(), at=AWARE + 5 * DAY)
    if isinstance(made, IncidentContent):
        made = steps.notified(made, Notice(to="authority", at=AWARE + DAY), at=AWARE + 5 * DAY)
    return made


@pytest.mark.parametrize("start", [incident(), finding()], ids=["incident", "nonconformity"])
def test_what_has_everything_is_closed_and_stays_closed(start):
    made = steps.closed(handled(start), at=AWARE + 6 * DAY, by="Head of AI", note="back to normal")
    assert (made.status, made.closed_at) == ("closed", AWARE + 6 * DAY)
    assert made.log[-1].what == "closed: back to normal"
    assert not list(made.lacking())
    for again in (
        lambda: steps.closed(made, at=AWARE + 7 * DAY),
        lambda: steps.corrected(made, "more", at=AWARE + 7 * DAY),
        lambda: steps.planned(made, action(), at=AWARE + 7 * DAY),
        lambda: steps.checked(made, check(), at=AWARE + 7 * DAY),
    ):
        with pytest.raises(InputError, match="was closed on 2026-11-30"):
            again()


MISSING = [
    ({"cause": None}, "its cause"),
    ({"correction": " "}, "what was done at once"),
    ({"actions": ()}, "an action against its return"),
    ({"actions": (action(),)}, "the action 'Audit the labels' done"),
    ({"effectiveness": None}, "a check whether what was done worked"),
    ({"effectiveness": check(effective=False)}, "a check that found it effective"),
    ({"effectiveness": check(at=AWARE + DAY)}, "a check that is later than the last action"),
]


@pytest.mark.parametrize(("fields", "lacks"), MISSING)
@pytest.mark.parametrize("start", [incident(), finding()], ids=["incident", "nonconformity"])
def test_what_lacks_something_is_not_closed_by_any_way(start, fields, lacks):
    full = handled(start)
    made = full.model_copy(update=fields)
    with pytest.raises(InputError, match=lacks):
        steps.closed(made, at=AWARE + 6 * DAY)
    plain = full.model_dump() | {"status": "closed", "closed_at": AWARE + 6 * DAY}
    plain |= {k: [a.model_dump() for a in v] if k == "actions" else v for k, v in fields.items()}
    with pytest.raises(ValidationError):
        type(start).model_validate(plain)


def test_a_reason_why_no_action_is_needed_serves_in_its_place():
    made = steps.no_action(steps.explained(finding(), "a typo", at=AWARE), "it cannot come back", at=AWARE)
    made = steps.checked(steps.corrected(made, "typo mended", at=AWARE), check(), at=AWARE + 5 * DAY)
    assert steps.closed(made, at=AWARE + 6 * DAY).status == "closed"
    with pytest.raises(InputError, match="an action is planned"):
        steps.no_action(steps.planned(finding(), action(), at=AWARE), "none", at=AWARE)


def test_an_incident_is_contained_before_it_is_closed():
    with pytest.raises(InputError, match="not contained yet"):
        steps.closed(handled(incident()).model_copy(update={"status": "open"}), at=AWARE + 6 * DAY)
    with pytest.raises(ValidationError, match="what is contained says how"):
        incident(status="contained")


def test_a_serious_one_also_needs_the_notice_or_the_reason_why_none_was_due():
    made = handled(incident()).model_copy(update={"notices": (Notice(to="users", at=AWARE + DAY),)})
    with pytest.raises(InputError, match="the notice to the authority") as caught:
        steps.closed(made, at=AWARE + 6 * DAY)
    assert caught.value.remedy == "aims incident notify ID --to authority --at TIME"
    assert steps.closed(steps.not_due(made, "not high-risk", at=AWARE), at=AWARE + 6 * DAY).status == "closed"
    major = made.model_copy(update={"severity": "major"})
    assert steps.closed(major, at=AWARE + 6 * DAY).status == "closed"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"occurred_at": AWARE + timedelta(minutes=1)}, "before it occurred"),
        (
            {"notices": (Notice(to="authority", at=AWARE - timedelta(minutes=1)),)},
            "before the organization became aware",
        ),
        ({"actions": (action(due=AWARE - DAY),)}, "was due on 2026-11-23, before this was known"),
        ({"actions": (action(done_at=AWARE - DAY),)}, "done before this was known"),
        ({"effectiveness": check(at=AWARE - DAY)}, "check was made before this was known"),
        ({"status": "closed"}, "says when"),
        ({"closed_at": AWARE + DAY}, "says when"),
        ({"severity": "grave"}, "severity"),
        ({"title": ""}, "title"),
        ({"aware_at": AWARE.replace(tzinfo=None)}, "zone"),
    ],
)
def test_what_cannot_be_is_no_incident(fields, says):
    with pytest.raises(ValidationError, match=says):
        incident(**fields)
    plain = incident().model_dump() | {k: _plain(v) for k, v in fields.items()}
    with pytest.raises(InputError):
        steps.made(IncidentContent, plain)


def _plain(value):
    if isinstance(value, tuple):
        return [one.model_dump() for one in value]
    return value.model_dump() if hasattr(value, "model_dump") else value


def test_times_to_come_are_refused():
    later = AWARE + DAY
    for call in (
        lambda: steps.notified(incident(), Notice(to="authority", at=later), at=AWARE),
        lambda: steps.done(steps.planned(incident(), action(), at=AWARE), 1, later, at=AWARE),
        lambda: steps.checked(incident(), check(at=later), at=AWARE),
        lambda: steps.described(incident(), occurred_at=later, at=AWARE),
        lambda: steps.described(incident(), aware_at=later, at=AWARE),
    ):
        with pytest.raises(InputError, match="in the future"):
            call()


def test_awareness_can_only_be_found_to_have_been_earlier():
    made = steps.described(incident(), aware_at=AWARE - DAY, at=AWARE)
    assert made.aware_at == AWARE - DAY
    with pytest.raises(InputError, match="was aware on 2026-11-23"):
        steps.described(made, aware_at=AWARE, at=AWARE)


def test_to_rate_it_lower_needs_a_reason_and_higher_none():
    made = steps.rated(incident(severity="minor"), "serious", None, at=AWARE)
    assert made.holds
    for reason in (None, " "):
        with pytest.raises(InputError, match="needs a reason"):
            steps.rated(made, "major", reason, at=AWARE)
    lower = steps.rated(made, "major", "nobody was harmed", at=AWARE)
    assert not lower.holds
    assert lower.log[-1].what == "severity serious -> major: nobody was harmed"
    with pytest.raises(InputError, match="no severity"):
        steps.rated(made, "grave", "x", at=AWARE)


def test_actions_are_done_one_by_one_and_once():
    made = steps.planned(steps.planned(incident(), action(), at=AWARE), action(what="Retrain"), at=AWARE)
    for number in (0, 3, -1):
        with pytest.raises(InputError, match=f"no action {number}") as caught:
            steps.done(made, number, AWARE, at=AWARE)
        assert "1: Audit the labels; 2: Retrain" in caught.value.remedy
    made = steps.done(made, 2, AWARE, at=AWARE)
    with pytest.raises(InputError, match="done on 2026-11-24 already"):
        steps.done(made, 2, AWARE, at=AWARE)
    with pytest.raises(InputError, match="'Audit the labels' is not done"):
        steps.checked(made, check(), at=AWARE + 9 * DAY)


def test_a_check_that_found_it_not_effective_keeps_it_open_until_a_later_one():
    made = steps.checked(handled(incident()), check(effective=False, at=AWARE + 6 * DAY), at=AWARE + 6 * DAY)
    with pytest.raises(InputError, match="found it effective"):
        steps.closed(made, at=AWARE + 7 * DAY)
    made = steps.planned(made, action(what="Retrain"), at=AWARE + 7 * DAY)
    made = steps.done(made, 2, AWARE + 8 * DAY, at=AWARE + 8 * DAY)
    made = steps.checked(made, check(at=AWARE + 9 * DAY), at=AWARE + 9 * DAY)
    assert steps.closed(made, at=AWARE + 9 * DAY).status == "closed"


def test_further_versions_are_added_once_with_their_evidence():
    digest = "sha256:" + "1" * 64
    one = AffectedVersion(registered_name="credit", version="1", evidence_sha256=digest)
    made = steps.described(incident(), affected=[one, one.model_copy(update={"version": "2"})], at=AWARE)
    assert [a.uri for a in made.affected] == ["credit/1", "credit/2"]
    assert made.evidence == (digest,)
    with pytest.raises(InputError, match="nothing is changed"):
        steps.described(made, affected=[one], at=AWARE)


def test_a_notice_may_follow_after_it_is_closed():
    made = steps.closed(handled(incident()), at=AWARE + 6 * DAY)
    more = steps.notified(made, Notice(to="authority", at=AWARE + 20 * DAY, kind="final"), at=AWARE + 20 * DAY)
    assert len(more.notices) == 2
    with pytest.raises(InputError, match="told already"):
        steps.not_due(handled(incident()), "no", at=AWARE)
