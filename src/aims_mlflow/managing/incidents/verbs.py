"""Incidents as functions: open, update, close, search; and ``open_by_rule`` for the monitoring to call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from aims_mlflow.api.policies import Config, names_of
from aims_mlflow.management.incident_log import CaseLog
from aims_mlflow.management.incidents import Harm, Severity
from aims_mlflow.management.state import Filed
from aims_mlflow.managing.cases import Moment
from aims_mlflow.managing.incidents.log import Incident, Incidents
from aims_mlflow.managing.records import ManagementRecords


def open_incident(
    title: str,
    *,
    severity: Severity,
    system: str | Sequence[str] = (),
    owner: str | None = None,
    id: str | None = None,  # noqa: A002  (the word of the record)
    aware_at: Moment | None = None,
    occurred_at: Moment | None = None,
    harm: Harm = "none",
    widespread: bool = False,
    affected: Sequence[str] | None = None,
    note: str | None = None,
    links: Sequence[str] = (),
    person: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Incident:
    """Open an incident, freeze the evidence of the affected versions, and hold the models of a serious one.

    Args:
        title: What happened, in a line. It stands in the log of held models.
        severity: ``minor``, ``major`` or ``serious`` (AI Act Art. 3(49)): while a serious one is open, no guarded move
            of its system's models passes.
        system: Id of the system, or several; the one of ``aims.yaml`` where none is named.
        owner: Who answers for it; the system's owner where None.
        id: Its id; ``INC-1``, ``INC-2``... where None.
        aware_at: When the organization became aware: the clocks of Art. 73 run from here. Now where None; of a day its
            first moment.
        occurred_at: When it occurred, where that is known.
        harm: What harm was done.
        widespread: Whether it is a widespread infringement.
        affected: Versions that took part, ``name/version``; all versions in service of the system where None.
        note: For its log.
        links: Records it rests on, ``type:id``.
        person: Who opens it; who acts where None.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Returns:
        The incident, with its clocks and the models held.

    Raises:
        InputError: what is said is wrong or cannot be; nothing was filed.
        DeliveryError: MLflow cannot be reached; or it is on file, and not every model could be held.
    """
    return _incidents(config, tracking_uri).open(
        title,
        systems=names_of(system),
        severity=severity,
        owner=owner,
        id=id,
        aware_at=aware_at,
        occurred_at=occurred_at,
        harm=harm,
        widespread=widespread,
        affected=affected,
        note=note,
        links=links,
        person=person,
    )


def open_by_rule(
    rule: str,
    *,
    episode: str,
    title: str,
    system: str | Sequence[str] = (),
    severity: Severity = "major",
    owner: str | None = None,
    aware_at: Moment | None = None,
    affected: Sequence[str] | None = None,
    note: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Incident:
    """Open an incident because a rule of the monitoring says so: once for each episode, however often it is called.

    Args:
        rule: Name of the rule.
        episode: What tells this episode from the next, for example the digest of the first evidence that failed, or the
            moment the alert began.
        title: What was found, in a line.
        system: See ``open_incident``.
        severity: See ``open_incident``. Whether one is serious in the sense of the law is for a person to say.
        owner: See ``open_incident``.
        aware_at: When the alert came; now where None.
        affected: See ``open_incident``.
        note: For its log.
        config: See ``open_incident``.
        tracking_uri: See ``open_incident``.

    Returns:
        The incident of the episode as it stands: opened now, or before, and perhaps closed since.

    Raises:
        InputError, DeliveryError: see ``open_incident``.
    """
    return _incidents(config, tracking_uri).open(
        title,
        systems=names_of(system),
        severity=severity,
        owner=owner,
        aware_at=aware_at,
        affected=affected,
        note=note,
        rule=rule,
        episode=episode,
    )


def update_incident(
    id: str,  # noqa: A002  (the word of the record)
    *,
    correction: str | None = None,
    cause: str | None = None,
    severity: Severity | None = None,
    reason: str | None = None,
    harm: Harm | None = None,
    widespread: bool | None = None,
    occurred_at: Moment | None = None,
    aware_at: Moment | None = None,
    affected: Sequence[str] = (),
    note: str | None = None,
    owner: str | None = None,
    person: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Incident:
    """Say more of an incident: what contained it, its cause, another severity...

    Args:
        id: Its id.
        correction: What was done at once; it contains the incident.
        cause: Why it happened.
        severity: Another one. Rated serious, the models are held; to rate it lower needs ``reason``.
        reason: Why it is rated lower.
        harm: What harm was done.
        widespread: Whether it is a widespread infringement.
        occurred_at: When it occurred.
        aware_at: An earlier moment of awareness.
        affected: Further versions that took part, ``name/version``; they are frozen as they are now.
        note: For its log.
        owner: Another owner.
        person: Who says so.
        config: See ``open_incident``.
        tracking_uri: See ``open_incident``.

    Raises:
        InputError: there is no such incident, it is closed, nothing is changed, or it cannot be.
        DeliveryError: MLflow cannot be reached; or it is on file, and not every model could be held or released.
    """
    return _incidents(config, tracking_uri).update(
        id,
        correction=correction,
        cause=cause,
        severity=severity,
        reason=reason,
        harm=harm,
        widespread=widespread,
        occurred_at=occurred_at,
        aware_at=aware_at,
        affected=affected,
        note=note,
        owner=owner,
        person=person,
    )


def close_incident(
    id: str,  # noqa: A002  (the word of the record)
    *,
    note: str | None = None,
    person: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Incident:
    """Close an incident, and release the models a serious one holds.

    It must be contained; cause, action (done, or the reason why none is needed) and an effective check must be on
    record; of a serious one the notice to the authority too, or the reason why none was due.

    Args:
        id: Its id.
        note: For its log.
        person: Who closes it.
        config: See ``open_incident``.
        tracking_uri: See ``open_incident``.

    Raises:
        InputError: something is missing, or it is closed and holds nothing any more.
        DeliveryError: MLflow cannot be reached; or it is closed, and not every model could be released.
    """
    return _incidents(config, tracking_uri).close(id, note=note, person=person)


def search_incidents(
    *,
    system: str | None = None,
    at: datetime | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> CaseLog:
    """The incident log as it stands, or stood: what is open, overdue, and when somebody last looked.

    Args:
        system: Only of this system; None: all.
        at: The moment; now where None.
        config: See ``open_incident``.
        tracking_uri: See ``open_incident``.

    Raises:
        InputError: there is no such system.
        DeliveryError: MLflow cannot be reached.
    """
    return _incidents(config, tracking_uri).log(system=system, at=at)


def review_incidents(
    statement: str,
    *,
    owner: str,
    system: str | None = None,
    valid_until: date | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Filed:
    """Say that somebody looked through the incident log. See ``Cases.review``."""
    return _incidents(config, tracking_uri).review(statement, owner=owner, system=system, valid_until=valid_until)


def _incidents(config: Config, tracking_uri: str | None) -> Incidents:
    return Incidents(ManagementRecords(config=config, tracking_uri=tracking_uri))
