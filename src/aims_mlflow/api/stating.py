"""``log_evidence``: statements of persons, and records of a kind of the caller's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from aims_mlflow.api.destination import open_target, record_to
from aims_mlflow.api.given import day_of, document_of, moment_of, refuse_infinite, refuse_near_miss
from aims_mlflow.api.policies import Config, names_of
from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.config import Settings, load_settings
from aims_mlflow.delivery import catalog_of
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import (
    AttestationRecord,
    Basis,
    CustomRecord,
    DocumentRef,
    EvidenceBase,
    Subject,
    Threshold,
    Verdict,
    now,
)

_log = logging.getLogger("aims_mlflow")


def log_evidence(
    kind: str | EvidenceBase,
    content: Mapping[str, Any] | None = None,
    *,
    verdict: str = "recorded",
    reason: str = "",
    method: str = "Reported by the caller.",
    thresholds: Sequence[Threshold] = (),
    numbers: Mapping[str, float] | None = None,
    valid_until: datetime | date | str | None = None,
    topic: str | None = None,
    statement: str | None = None,
    owner: str | None = None,
    approver: str | None = None,
    role: str | None = None,
    valid_from: date | str | None = None,
    supports: str | Sequence[str] = (),
    document: str | Path | DocumentRef | Mapping[str, Any] | None = None,
    run_id: str | None = None,
    config: Config = None,
) -> EvidenceBase:
    """Log a record of any kind to the run.

    ``log_evidence("attestation", topic="ai_policy", statement=..., owner=...)`` logs a person's statement; any other
    kind that this library does not measure itself is a record of yours: ``log_evidence("robustness", {...},
    verdict="pass", reason=...)``. Such a record is *reported*, never *measured*, and the register weighs it so.

    Args:
        kind: ``attestation``, or a kind of your own (lower case, digits, ``_`` and ``.``), or a whole record of
            either sort.
        content: Free content of a record of your own; JSON values only, no rows of data.
        verdict: ``pass``, ``fail``, ``uncertain``, ``not_tested`` or ``recorded``.
        reason: Why, in one sentence; required with a verdict other than ``recorded``.
        method: How it was obtained.
        thresholds: Limits set before.
        numbers: Summary numbers.
        valid_until: End of validity, a date or ISO text; required for an attestation.
        topic: Attestation: what it is about (``aims register`` lists the topics).
        statement: Attestation: the statement.
        owner: Attestation: who states it; required.
        approver: Attestation: who approved it.
        role: Attestation: the owner's role.
        valid_from: Attestation: first day, a date or ISO text; today where None.
        supports: Attestation: ids of clauses and controls.
        document: Attestation: the document: its title or URI, the path of a file (which is hashed), a ``DocumentRef``
            or its fields.
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration.

    Returns:
        The evidence as logged.

    Raises:
        InputError: a kind this library measures itself, a kind that is nearly a known one, a missing field, a date that
            is none, or content JSON has no form for (NaN and infinity too).
    """
    settings = load_settings(config)
    until, start = moment_of(valid_until, "valid_until"), day_of(valid_from, "valid_from")
    paper = document_of(document)
    if isinstance(kind, str):
        refuse_near_miss(kind, catalog_of(settings).kinds, "kind")
    target = open_target(run_id)
    subject = target.subject(settings)
    if isinstance(kind, EvidenceBase):
        record = _whole(kind, subject)
    elif kind == "attestation":
        given = {
            "verdict": verdict != Verdict.RECORDED,
            "content": content,
            "numbers": numbers,
            "thresholds": thresholds,
        }
        if any(given.values()):
            named = ", ".join(name for name, there in given.items() if there)
            raise InputError(
                f"an attestation has no {named}: it is a person's statement",
                remedy="Say it in the statement, or log a record of a kind of your own.",
            )
        if not all((text or "").strip() for text in (topic, statement, owner)) or until is None:
            raise InputError(
                "an attestation needs topic, statement, owner and valid_until",
                remedy='For example log_evidence("attestation", topic="ai_policy", statement="...", owner="...", '
                'valid_until="2027-11-24").',
            )
        _known_to_register(settings, str(topic), names_of(supports))
        if until < now():
            _log.warning(
                "aims: the attestation %r ended on %s; it is kept and counts as stale", topic, until.date().isoformat()
            )
        record = _made(
            AttestationRecord,
            collector=COLLECTOR,
            captured_at=now(),
            valid_until=until,
            subject=subject,
            method="A named person's statement.",
            verdict=Verdict.RECORDED,
            reason=reason or f"Stated by {owner}.",
            topic=topic,
            statement=statement,
            owner=owner,
            approver=approver,
            role=role,
            valid_from=start or min(now().date(), until.date()),
            supports=names_of(supports),
            document=paper,
        )
    else:
        record = _custom(kind, content, subject, verdict, reason, method, thresholds, numbers, until)
    record_to(target, settings, [record])
    return record


def _known_to_register(settings: Settings, topic: str, supports: Sequence[str]) -> None:
    """Refuse a topic or id the register does not know, with the nearest one it does."""
    from difflib import get_close_matches

    catalog = catalog_of(settings)
    for what, name, valid in (
        ("topic", topic, catalog.topics),
        *(("id of a clause or control", row, catalog.ids) for row in supports),
    ):
        if name not in valid:
            near = get_close_matches(name, list(valid), n=1, cutoff=0.4)
            hint = f"Did you mean '{near[0]}'?" if near else "`aims register` lists what there is."
            raise InputError(f"unknown {what} {name!r}", remedy=hint)


def _whole(record: EvidenceBase, subject: Subject) -> EvidenceBase:
    """A record made by the caller: any that claims no measurement of this library's, bound to this run and moment."""
    if not isinstance(record, AttestationRecord | CustomRecord):
        _refuse_measured(getattr(record, "kind", ""))
    if isinstance(record, CustomRecord) and record.basis == Basis.MEASURED:
        raise InputError(
            "a record of your own is reported, declared or attested, never measured by this library", where="basis"
        )
    if isinstance(record, CustomRecord):
        refuse_infinite(record.content)
    about = record.subject.model_copy(update={"run": subject.run, "system_id": subject.system_id})
    return record.model_copy(update={"subject": about, "collector": COLLECTOR, "captured_at": now()})


def _refuse_measured(kind: str) -> NoReturn:
    measured = {
        "data_quality": "log_data_quality",
        "drift": "log_drift",
        "performance": "log_performance",
        "fairness": "log_fairness",
    }
    raise InputError(
        f"evidence of kind {kind!r} is measured by this library and cannot be written by hand",
        remedy=f"Call aims_mlflow.{measured[kind]}()." if kind in measured else "It is captured by autolog().",
    )


def _custom(
    kind: str,
    content: Mapping[str, Any] | None,
    subject: Subject,
    verdict: str,
    reason: str,
    method: str,
    thresholds: Sequence[Threshold],
    numbers: Mapping[str, float] | None,
    valid_until: datetime | None,
) -> CustomRecord:
    from aims_mlflow.evidence import TYPED_KINDS

    refuse_infinite(content)
    if kind in TYPED_KINDS:
        _refuse_measured(kind)
    if verdict != Verdict.RECORDED and not reason:
        raise InputError(f"a verdict of {verdict!r} needs a reason", remedy="Say why in one sentence: reason='...'.")
    record: CustomRecord = _made(
        CustomRecord,
        kind=kind,
        basis=Basis.REPORTED,
        collector=COLLECTOR,
        captured_at=now(),
        valid_until=valid_until,
        subject=subject,
        method=method,
        verdict=verdict,
        reason=reason or "Reported by the caller.",
        thresholds=tuple(thresholds),
        numbers=dict(numbers or {}),
        content=dict(content or {}),
    )
    return record


def _made(model: type[Any], **fields: Any) -> Any:
    """Build a record; what does not fit is the caller's mistake and is said in his words."""
    from pydantic import ValidationError

    from aims_mlflow.evidence import canonical_json

    try:
        record = model(**fields)
        canonical_json(record)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise InputError(f"the record is not valid: {wrong}") from error
    except (TypeError, ValueError) as error:
        raise InputError(
            "the content holds a value JSON has no form for",
            remedy="Use text, finite numbers, booleans, null, lists and dicts with text keys.",
        ) from error
    return record
