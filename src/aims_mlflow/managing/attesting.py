"""``attest``: a person's statement on record. ``search_records`` and ``withdraw_record``: reading and taking back."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from aims_mlflow.api.given import day_of, refuse_infinite
from aims_mlflow.api.policies import Config, names_of
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef, now
from aims_mlflow.management.listing import Listed, listed
from aims_mlflow.management.record import LINK_PATTERN, ManagementRecord
from aims_mlflow.management.record_templates import FilledRecord, read_filled
from aims_mlflow.management.reports import REPORTED, ReportedFacts
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.support import RowSupport, support_of
from aims_mlflow.management.types import type_of
from aims_mlflow.managing.pointers import document_given
from aims_mlflow.managing.records import ManagementRecords

_log = logging.getLogger("aims_mlflow")

STATED = (*REPORTED, "incident_log", "nonconformity_log")
"""Record types beside the topics of the register that are a person's word and no more."""
VERBS = {
    "system": "aims systems declare",
    "risk": "aims risk open",
    "risk_criteria": "aims attest --from FILE",
    "impact": "aims impact new --from FILE",
    "soa": "aims soa record FILE",
    "incident": "aims incident open",
    "nonconformity": "aims nonconformity open",
    "gap": "aims gap --record",
}
"""What makes records of the types that have fields of their own."""
_BY_VERB_ONLY = frozenset({"impact", "soa", "incident", "gap"})
"""Types into which the command puts what nobody writes by hand: numbers, the evidence as it stood, what was there."""


@dataclass(frozen=True)
class Attested:
    """A statement on record, with what it comes to."""

    filed: Filed
    rows: tuple[RowSupport, ...]
    """What the register asks of it, and whether that is met."""
    notes: tuple[str, ...] = ()
    """What whoever filed it should know beside that."""

    @property
    def unmet(self) -> tuple[RowSupport, ...]:
        """What it does not meet."""
        return tuple(row for row in self.rows if not row.is_met)


def attest(
    topic: str,
    statement: str | None = None,
    *,
    owner: str | None = None,
    approver: str | None = None,
    role: str | None = None,
    valid_from: date | str | None = None,
    valid_until: date | str | None = None,
    systems: str | Sequence[str] = (),
    system: str | None = None,
    supports: str | Sequence[str] = (),
    links: str | Sequence[str] = (),
    document: str | Path | DocumentRef | None = None,
    document_sha256: str | None = None,
    answers: Mapping[str, Any] | None = None,
    verdict: str = "recorded",
    id: str | None = None,  # noqa: A002  (the word of the record)
    config: Config = None,
    tracking_uri: str | None = None,
) -> ManagementRecord:
    """Put a person's statement on record in MLflow, as evidence for the clauses and controls that ask for it.

    It is filed as the first or next revision of its record; what was said before stays readable. Where it lacks what a
    row asks for (a document, an approver), or is not in force yet, it is filed all the same and a warning says which
    row it does not meet, and why.

    Args:
        topic: What it is about: a topic of the register (``aims register`` lists them), or ``access_list``,
            ``retention``, ``incident_log``, ``nonconformity_log``.
        statement: What is stated; required.
        owner: The one person or function that answers for it; required.
        approver: Who approved it.
        role: The owner's role.
        valid_from: First day, a date or ISO text; today where None.
        valid_until: Last day; the usual validity of the topic where None.
        systems: Ids of the AI systems it is about; none: the organization.
        system: The same for one.
        supports: Clauses and controls it is meant for, where it is not for all that ask for its topic.
        links: Records it rests on, ``type:id``.
        document: The document: the path of a file, which is kept with the record; its URI; or a ``DocumentRef``.
        document_sha256: Its hash, 64 hex digits: of a URI, so that a change can be told; of a file, to be checked.
        answers: What the topic's template asks, heading to answer; for an extract (``access_list``, ``retention``) its
            facts.
        verdict: Of an extract: ``recorded``, ``pass`` or ``fail``.
        id: The record's id; where None, the topic, with the systems' ids where it is about some.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Returns:
        The record as filed, with its ``revision``.

    Raises:
        InputError: an unknown topic, id, system or record; a required field is missing; dates in the wrong order or
            past; more than one owner; a circle of links; a document that is empty, too large to be kept, or has
            another hash. Nothing was filed.
        ConfigError: ``aims.yaml`` is wrong.
        EvidenceError: an earlier revision of the record was deleted or altered.
        DeliveryError: MLflow cannot be reached, or keeps its runs in a folder of files.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    if statement is None or owner is None:
        raise InputError(
            "a statement needs what it says and its owner",
            where="statement" if statement is None else "owner",
            remedy='For example attest("ai_policy", statement="...", owner="Head of AI").',
        )
    if system is not None and systems:
        raise InputError("give system or systems, not both", where="systems")
    given = FilledRecord(
        type=topic,
        id=id,
        owner=_text(owner, "owner"),
        approver=approver,
        role=role,
        valid_from=day_of(valid_from, "valid_from"),
        valid_until=day_of(valid_until, "valid_until"),
        systems=names_of(system if system is not None else systems),
        supports=names_of(supports),
        links=names_of(links),
        statement=_text(statement, "statement"),
    )
    attested = file_statement(
        records, given, answers=answers, document=document, document_sha256=document_sha256, verdict=verdict
    )
    for note in (*attested.notes, *unmet_words(attested.unmet)):
        _log.warning("aims: %s: %s", attested.filed.record.link, note)
    return attested.filed.record


def file_statement(
    records: ManagementRecords,
    given: FilledRecord,
    *,
    answers: Mapping[str, Any] | None = None,
    document: str | Path | DocumentRef | None = None,
    document_sha256: str | None = None,
    verdict: str = "recorded",
) -> Attested:
    """File a statement, and judge what it comes to.

    Args:
        records: The records.
        given: What is said, as an argument or in a filled template.
        answers: See ``attest``; those of ``given`` where None.
        document: See ``attest``; that of ``given`` where None.
        document_sha256: See ``attest``.
        verdict: See ``attest``.

    Raises:
        InputError, EvidenceError, DeliveryError: See ``attest``.
    """
    kind = type_of(given.type, records.catalog)
    if not (kind.is_topic or kind.id in STATED or given.fields is not None):
        raise InputError(
            f"a record of type {kind.id!r} is more than a statement", remedy=f"`{VERBS[kind.id]}` makes one."
        )
    is_extract = issubclass(kind.content, ReportedFacts)
    if verdict != "recorded" and not is_extract:
        raise InputError("a statement has no verdict: it says what holds", where="verdict")
    if is_extract:
        _check_extract(given, records)
    if not given.statement.strip() and given.fields is None:
        raise InputError("the statement is empty", where="statement", remedy="Say what holds, in a sentence or more.")
    if answers:
        _check_plain(answers)
    content = (
        given.content_for(kind.content) if not answers else _with_answers(given, answers, is_extract, kind.content)
    )
    if verdict != "recorded":
        content = {**content, "verdict": verdict}
    paper, notes = document_given(document if document is not None else given.document, document_sha256)
    filed = records.file(
        kind.id,
        content,
        owner=given.owner,
        id=given.id or ("-".join((kind.id, *given.systems))[:100] if kind.id in STATED else None),
        approver=given.approver,
        valid_from=given.valid_from,
        valid_until=given.valid_until,
        systems=given.systems,
        supports=given.supports,
        links=given.links,
        document=paper,
    )
    state = records.state(max(filed.record.recorded_at, now()))
    rows = support_of(filed.record, state, records.catalog, records.settings.declaration)
    return Attested(filed, rows, (*notes, *_about(filed, state)))


def file_filled(records: ManagementRecords, path: Path, topic: str | None = None) -> Attested:
    """File a template that somebody filled in. It is kept as the document where it names none.

    Args:
        records: The records.
        path: The filled template.
        topic: The topic it has to be about; what it says itself where None.

    Raises:
        InputError: it cannot be read, or is about another topic; what else, see ``attest``.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text", where=str(path)) from error
    given = read_filled(text, path.name)
    if topic is not None and given.type != topic:
        raise InputError(f"it is a record of type {given.type!r}, not {topic!r}", where=str(path))
    if given.type in _BY_VERB_ONLY:
        raise InputError(
            f"more than the file says goes into a record of type {given.type!r}",
            where=str(path),
            remedy=f"`{VERBS[given.type]}` makes one.",
        )
    named = given.document
    document: str | Path | None
    if named is None:
        document = path if given.fields is None else None
    else:
        is_here = "://" not in named and not Path(named).is_absolute()
        document = path.parent / named if is_here else named
    return file_statement(records, given, document=document)


def search_records(
    type: str | None = None,  # noqa: A002  (the word of the record)
    *,
    system: str | None = None,
    owner: str | None = None,
    at: datetime | date | str | None = None,
    include_withdrawn: bool = False,
    config: Config = None,
    tracking_uri: str | None = None,
) -> list[ManagementRecord]:
    """The records of the management system, each as its latest revision says.

    Whether one is valid yet, or still, is for ``valid_from`` and ``valid_until`` to say. Records that something is
    wrong with (a deleted or altered run) count for nothing and are left out; a warning names them.

    Args:
        type: Only of this type, such as ``ai_policy``; all where None.
        system: Only those that name this AI system.
        owner: Only those of this owner.
        at: What was on record then: a day (its end, UTC) or a time with a zone; now where None.
        include_withdrawn: Also those that were withdrawn.
        config: ``aims.yaml``, by path, or a declaration, whose own frameworks may add topics.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Returns:
        The records, by type and id.

    Raises:
        InputError: there is no such type, or ``at`` is no time or to come.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state(_moment(at))
    found = list_records(records, state, type_id=type, system=system, owner=owner, include_withdrawn=include_withdrawn)
    for problem in state.problems:
        if problem.blocks and type in (None, problem.type):
            _log.warning("aims: a record counts for nothing: %s", problem)
    return [one.record for one in found if one.record.key not in state.blocked]


def list_records(
    records: ManagementRecords,
    state: State,
    *,
    type_id: str | None = None,
    system: str | None = None,
    owner: str | None = None,
    include_withdrawn: bool = False,
) -> list[Listed]:
    """The records with where each stands; see ``search_records``.

    Raises:
        InputError: there is no such type.
    """
    if type_id is not None:
        type_of(type_id, records.catalog)
    return listed(state, type_id=type_id, system=system, owner=owner, only_current=not include_withdrawn)


def withdraw_record(
    link: str, *, reason: str, config: Config = None, tracking_uri: str | None = None
) -> ManagementRecord:
    """Withdraw a record: from now on it counts for nothing, and all its revisions stay readable.

    Args:
        link: The record, ``type:id``.
        reason: Why, for the record.
        config: ``aims.yaml``, by path, or a declaration.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Returns:
        The revision that withdraws it.

    Raises:
        InputError: there is no such record, it was withdrawn before, or no reason is given.
        EvidenceError: its latest revision was deleted or altered.
        DeliveryError: MLflow cannot be reached.
    """
    type_id, id_ = parse_link(link)
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    return records.withdraw(type_id, id_, reason=reason).record


def parse_link(link: str) -> tuple[str, str]:
    """Type and id of ``type:id``.

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(LINK_PATTERN, link):
        raise InputError(
            f"{link[:100]!r} names no record", remedy="Give TYPE:ID, such as ai_policy:ai_policy; `aims records` lists."
        )
    type_id, _, id_ = link.partition(":")
    return type_id, id_


def unmet_words(unmet: Sequence[RowSupport]) -> list[str]:
    """Which rows a record does not meet, why, and what to do: a line for each reason."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for row in unmet:
        by_reason.setdefault((row.reason, row.remedy), []).append(row.row)
    return [
        f"{', '.join(dict.fromkeys(rows))} not met by it: {reason}. {remedy}".rstrip()
        for (reason, remedy), rows in by_reason.items()
    ]


def _about(filed: Filed, state: State) -> list[str]:
    """What stands in the way of the record itself."""
    record = filed.record
    return [str(problem) for problem in state.problems if (problem.type, problem.id) == record.key]


def _with_answers(given: FilledRecord, answers: Mapping[str, Any], is_extract: bool, content: Any) -> dict[str, Any]:
    if is_extract:
        return {"statement": given.statement, "facts": dict(answers)}
    wrong = next((name for name, text in answers.items() if not isinstance(text, str)), None)
    if wrong is not None:
        raise InputError("an answer is a text", where=f"answers[{str(wrong)[:60]!r}]")
    made: dict[str, Any] = given.model_copy(update={"answers": dict(answers)}).content_for(content)
    return made


def _check_plain(answers: Mapping[str, Any]) -> None:
    """Refuse what JSON has no form for: nothing may be on record that is not what was said."""
    refuse_infinite(answers, "answers")
    try:
        json.dumps(dict(answers), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(
            "JSON has no form for what is answered", where="answers", remedy="Use plain values."
        ) from error


def _check_extract(given: FilledRecord, records: ManagementRecords) -> None:
    asking = {row.id for row in records.catalog.rows.values() for need in row.requires if given.type in need.evidence}
    for row_id in given.supports:
        if row_id not in asking:
            raise InputError(
                f"{row_id[:60]} does not rest on {given.type!r}",
                where="supports",
                remedy=f"These do: {', '.join(sorted(asking))}; leave it out for all of them.",
            )


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str):
        kind = given.__class__.__name__
        several = " Name the one who answers for it." if where == "owner" and kind in {"list", "tuple", "set"} else ""
        raise InputError(f"expected a text, found {kind}", where=where, remedy=several.strip())
    return given


def _moment(at: datetime | date | str | None) -> datetime | None:
    """The moment; of today, whose end is still to come, the present.

    Raises:
        InputError: it is no moment, or it is to come.
    """
    from aims_mlflow.registry.reviews import moment

    if at is None:
        return None
    when, here = moment(at), now()
    if when <= here:
        return when
    is_day = "T" not in at.upper() if isinstance(at, str) else not isinstance(at, datetime)
    if is_day and when.date() == here.date():
        return here
    raise InputError(f"{str(at)[:40]!r} is in the future", where="at", remedy="Give a day or time that is past.")
