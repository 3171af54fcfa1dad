"""The verbs of the risk register: open, weigh, treat, accept, review, close, and look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from aims_mlflow.api.given import day_of
from aims_mlflow.api.policies import Config, names_of
from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef, now
from aims_mlflow.management.risk_changes import changed, check_controls, check_fields, free_id
from aims_mlflow.management.risk_register import (
    UNASSIGNED,
    RiskLine,
    RiskRegister,
    criteria_in_force,
    next_review,
    register_of,
)
from aims_mlflow.management.risks import SCALE, RiskContent
from aims_mlflow.management.state import Filed
from aims_mlflow.managing.records import ManagementRecords

Day = date | str | None


def open_risk(
    title: str,
    *,
    source: str,
    likelihood: int,
    consequence: int,
    owner: str,
    id: str | None = None,  # noqa: A002  (the word of the record)
    systems: str | Sequence[str] = (),
    review_by: Day = None,
    approver: str | None = None,
    valid_from: Day = None,
    valid_until: Day = None,
    links: str | Sequence[str] = (),
    document: str | Path | DocumentRef | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
    **more: Any,
) -> Filed:
    """Put a risk on the register.

    Args:
        title: The risk in a line.
        source: Where it comes from, a word of the vocabulary (``drift``, ``training_data``, ``misuse``...).
        likelihood: 1 (least) to 5.
        consequence: 1 (least) to 5.
        owner: The one who answers for it.
        id: A short stable id; made from the title where None.
        systems: Ids of the systems it is about; none: the organization.
        review_by: The day it is looked at again by; as soon as its level asks for where None.
        approver: Who approved the entry.
        valid_from: First day of the record; today where None.
        valid_until: Last day of the record; a year on where None.
        links: Records it rests on, ``type:id``.
        document: Path, URI or title of a document.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        more: Further fields of ``management.risks.RiskContent``: ``event``, ``affects``, ``treatment``, ``actions``,
            ``controls``, ``residual_likelihood``, ``residual_consequence``, ``accepted_by``, ``accepted_because``,
            ``results``, ``status``.

    Returns:
        The risk as filed.

    Raises:
        InputError: a field that is wrong, an unknown source, control or system, a review that is past, or an id that is
            taken. Nothing was filed.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state()
    name = id or free_id(title, {taken for kind, taken in state.current if kind == "risk"})
    if state.get("risk", name) is not None:
        raise InputError(
            f"there is a risk {name!r} already", where="id", remedy=f"Revise it: `aims risk review {name}`."
        )
    given = {"title": title, "source": source, "likelihood": likelihood, "consequence": consequence, **more}
    check_fields(given)
    check_controls(records.catalog, given)
    today = state.at.date()
    due = _review_day(review_by, today)
    if due is None:
        grades = range(1, SCALE + 1)
        level = likelihood * consequence if likelihood in grades and consequence in grades else SCALE**2
        due = next_review(criteria_in_force(state, records.catalog), level, today)
    if given.get("accepted_by"):
        given["accepted_on"] = today
    return records.file(
        "risk",
        given | {"review_by": due},
        owner=owner,
        id=name,
        approver=approver,
        valid_from=day_of(valid_from, "valid_from"),
        valid_until=day_of(valid_until, "valid_until"),
        systems=names_of(systems),
        links=names_of(links),
        document=document,
    )


def revise_risk(
    id: str,  # noqa: A002  (the word of the record)
    changes: Mapping[str, Any],
    *,
    note: str = "",
    owner: str | None = None,
    approver: str | None = None,
    weighed: bool = False,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Filed:
    """Change fields of a risk; what it said before stays readable.

    What was accepted is accepted no more where the level, the treatment or what is left of the risk changes.

    Args:
        id: The risk's id.
        changes: Fields of ``management.risks.RiskContent`` to their new values.
        note: Why, for its log.
        owner: A new owner.
        approver: Who approved the change.
        weighed: Whether a person weighed the risk anew: what rules found is then taken in.
        config: As of ``open_risk``.
        tracking_uri: As of ``open_risk``.

    Raises:
        InputError: there is no such risk, or a field is wrong.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    check_fields(changes)
    check_controls(records.catalog, changes)
    today = now().date()
    given = dict(changes)
    if "review_by" in given:
        given["review_by"] = _review_day(given["review_by"], today)

    def change(before: RiskContent) -> RiskContent:
        return changed(before, given, note=note, weighed=weighed, today=today)

    said = {name: value for name, value in (("owner", owner), ("approver", approver)) if value}
    return _revise(records, id, change, said)


def treat_risk(
    id: str,  # noqa: A002  (the word of the record)
    *,
    treatment: str | None = None,
    actions: str | Sequence[str] | None = None,
    controls: str | Sequence[str] | None = None,
    residual: tuple[int, int] | None = None,
    results: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
    **said: Any,
) -> Filed:
    """Say how a risk is treated, and, once that is done, what came of it.

    Args:
        id: The risk's id.
        treatment: ``avoid``, ``reduce``, ``share`` or ``accept``.
        actions: What is done.
        controls: Ids of the controls that treat it.
        residual: Likelihood and consequence of what the treatment leaves.
        results: What it came to; the risk counts as treated from then on.
        config: As of ``open_risk``.
        tracking_uri: As of ``open_risk``.
        said: ``note``, ``owner``, ``approver``.

    Raises:
        InputError: there is no such risk, an unknown control, or residual risk that is more than the risk.
        DeliveryError: MLflow cannot be reached.
    """
    changes: dict[str, Any] = {
        "treatment": treatment,
        "actions": None if actions is None else names_of(actions),
        "controls": None if controls is None else names_of(controls),
        "results": results,
        "status": "treated" if results is not None else None,
    }
    if residual is not None:
        changes |= {"residual_likelihood": residual[0], "residual_consequence": residual[1]}
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        raise InputError("nothing is said of the treatment", remedy="Give treatment, actions, controls or results.")
    return revise_risk(id, given, config=config, tracking_uri=tracking_uri, **said)


def accept_risk(
    id: str,  # noqa: A002  (the word of the record)
    *,
    by: str,
    reason: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
    **said: Any,
) -> Filed:
    """Accept what is left of a risk, by name. Without a treatment decided on, accepting it is the treatment.

    Args:
        id: The risk's id.
        by: The person who accepts it.
        reason: Why; needed where what is left lies above the tolerable level.
        config: As of ``open_risk``.
        tracking_uri: As of ``open_risk``.
        said: ``note``, ``owner``, ``approver``.

    Raises:
        InputError: there is no such risk, nobody is named, or a reason is needed.
        DeliveryError: MLflow cannot be reached.
    """
    if not by.strip():
        raise InputError("an acceptance needs the name of the person", where="by")
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state()
    criteria = criteria_in_force(state, records.catalog)
    today = state.at.date()

    def change(before: RiskContent) -> RiskContent:
        accepts_whole = before.treatment in ("accept", "undecided")
        level = before.level if accepts_whole or before.residual is None else before.residual
        if level > criteria.tolerable and not (reason or "").strip():
            raise InputError(
                f"what is left ({level}) lies above the tolerable {criteria.tolerable}",
                where=f"risk:{id}",
                remedy="Treat it first, or say why it is accepted all the same: --reason.",
            )
        given = {"accepted_by": by.strip(), "accepted_because": reason}
        if before.treatment == "undecided":
            given["treatment"] = "accept"
        made = changed(before, given, note=said.get("note", ""), weighed=False, today=today)
        return made.model_copy(update={"accepted_by": by.strip(), "accepted_on": today})

    kept = {name: said[name] for name in ("owner", "approver") if said.get(name)}
    return _revise(records, id, change, kept)


def review_risk(
    id: str,  # noqa: A002  (the word of the record)
    *,
    likelihood: int | None = None,
    consequence: int | None = None,
    review_by: Day = None,
    config: Config = None,
    tracking_uri: str | None = None,
    **said: Any,
) -> Filed:
    """Say that a person weighed a risk anew, and when it is looked at next.

    Args:
        id: The risk's id.
        likelihood: As weighed now; as before where None.
        consequence: As weighed now; as before where None.
        review_by: The next review; as soon as its level asks for where None.
        config: As of ``open_risk``.
        tracking_uri: As of ``open_risk``.
        said: ``note``, ``owner``, ``approver``.

    Raises:
        InputError: there is no such risk, or the next review is past.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state()
    criteria = criteria_in_force(state, records.catalog)
    today = state.at.date()
    due = _review_day(review_by, today)
    levels = {"likelihood": likelihood, "consequence": consequence}
    given = {name: value for name, value in levels.items() if value is not None}

    def change(before: RiskContent) -> RiskContent:
        made = changed(before, given, note=said.get("note", ""), weighed=True, today=today)
        return made.model_copy(update={"review_by": due or next_review(criteria, made.left, today)})

    kept = {name: said[name] for name in ("owner", "approver") if said.get(name)}
    return _revise(records, id, change, kept)


def close_risk(
    id: str,  # noqa: A002  (the word of the record)
    *,
    results: str,
    config: Config = None,
    tracking_uri: str | None = None,
    **said: Any,
) -> Filed:
    """Close a risk: it is no risk any more, for a reason that is kept.

    Raises:
        InputError: there is no such risk, or no result is given.
        DeliveryError: MLflow cannot be reached.
    """
    if not results.strip():
        raise InputError("a risk is closed with a result", where="results", remedy="Say why it is no risk any more.")
    changes = {"status": "closed", "results": results}
    return revise_risk(id, changes, weighed=True, config=config, tracking_uri=tracking_uri, **said)


def search_risks(
    *,
    system: str | None = None,
    closed: bool = False,
    overdue: bool = False,
    at: datetime | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> list[RiskLine]:
    """Risks of the register, high-risk systems first, then the highest level that stands.

    Args:
        system: Those that bear on this system, the organization's own among them; all where None.
        closed: With those that are closed.
        overdue: Only those whose review is overdue.
        at: What was known at that moment; now where None.
        config: As of ``open_risk``.
        tracking_uri: As of ``open_risk``.

    Raises:
        InputError: there is no such system.
        DeliveryError: MLflow cannot be reached.
    """
    register = risk_register(system=system, at=at, config=config, tracking_uri=tracking_uri)
    return [line for line in register.lines if (closed or line.is_live) and (line.is_overdue or not overdue)]


def risk_register(
    *,
    system: str | None = None,
    at: datetime | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> RiskRegister:
    """The register of all systems, or of one with the organization's own risks; errors as ``search_risks``."""
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state(at)
    if system is not None:
        declared = records.settings.declaration.system.id
        known = {name for kind, name in state.current if kind == "system"} | ({declared} if declared else set())
        if system not in known:
            hint = nearest(system, known) or "'aims systems' lists them."
            raise InputError(f"there is no system {system[:100]!r}", where="system", remedy=hint)
    return register_of(state, records.catalog, system, every=system is None)


def _revise(
    records: ManagementRecords, id_: str, change: Callable[[RiskContent], RiskContent], said: Mapping[str, Any]
) -> Filed:
    """The next revision; its record serves for as long as a new one would."""
    today = now().date()
    usual = records.state().get("risk", id_)
    begins = usual.record.valid_from if usual is not None and usual.record.valid_from > today else today
    return records.revise("risk", id_, change, valid_from=begins, valid_until=None, **said)


def _review_day(given: Day, today: date) -> date | None:
    day = day_of(given, "review_by")
    if day is not None and day < today:
        raise InputError(
            f"the review was due on {day}, which is past", where="review_by", remedy="Give a day that is to come."
        )
    return day


__all__ = [
    "UNASSIGNED",
    "accept_risk",
    "close_risk",
    "open_risk",
    "review_risk",
    "revise_risk",
    "risk_register",
    "search_risks",
    "treat_risk",
]
