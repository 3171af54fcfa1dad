"""The library's own tags in the registry: what may be written there, and by which right.

Pure. A tag that may not be written is an ``InputError`` with the reason; the gate makes a refusal of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from aims_mlflow.assessment import Overall, Status, in_short
from aims_mlflow.attach.tags import AT_RISK, LOOK_FIRST, MODEL_TAGS, RUN_TAGS, short_digest
from aims_mlflow.config import RiskClass
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evaluate import ATTENTION
from aims_mlflow.gate.messages import GATE_TAG
from aims_mlflow.gate.outcome import CLOCKS_DIFFER
from aims_mlflow.gate.policy import plain_name
from aims_mlflow.gate.statement import TAG, Held, Statement, read_statement

PREFIX = "aims."
REVIEW_TAG = "aims.review"
"""Never stored: it carries a person's word to the log."""
HOLD_TAG = "aims.hold"
"""Of a registered model, and never stored: it carries the hold of a serious incident, or its release, to the log."""
ALARM_TAG = "aims.alarm"
"""Of a version: the alarms of the monitoring that stand. Absent where none does."""
UNASSESSED = {"aims.status": str(Overall.NOT_ASSESSED)}
"""What a new version starts with."""
VERSION_TAGS = (TAG, GATE_TAG, REVIEW_TAG, ALARM_TAG, *RUN_TAGS)
_ALARM = r"[a-z][a-z0-9_-]{0,63} since \d{4}-\d\d-\d\d"
_ALARMS = re.compile(rf"{_ALARM}(, {_ALARM})*")
_DOWNGRADES = {str(Overall.NOT_ASSESSED), str(Overall.STALE), str(Overall.ERROR)}


def is_reserved(key: object) -> bool:
    """Whether a tag's name is one of ours, or looks like one: ``AIMS.status``, `` aims.status``."""
    return "".join(plain_name(str(key)).split()).startswith(PREFIX)


def without_reserved(tags: Iterable[object]) -> list[object]:
    """The tags without ours: what comes along with a new version says nothing of it."""
    return [tag for tag in tags if not is_reserved(getattr(tag, "key", ""))]


def check_name(key: str, known: Iterable[str]) -> None:
    """Refuse a name of ours that we do not write.

    Raises:
        InputError: it is none of the names known.
    """
    if key not in known:
        raise InputError(f"the tag {key[:60]!r} is reserved", remedy="Choose a name that does not begin with 'aims.'")


def check_statement(
    text: str, held: Held | None, *, source: str | None, trusted: Mapping[str, str], signed: bool, at: datetime
) -> Held:
    """A new assessment for a version.

    Args:
        text: The tag's value.
        held: The assessment the version has.
        source: Where the version's files are.
        trusted: Name to public key of those who may sign.
        signed: Whether the policy demands a signature.
        at: Now.

    Raises:
        InputError: it is no assessment, of other files, older than the one held, dated in the future, or not signed
            where it must be.
    """
    assess = "Assess the version with `aims assess`"
    try:
        new = read_statement(text, trusted)
    except EvidenceError as error:
        raise InputError(error.message, remedy=assess) from error
    if signed and new.signed_by is None:
        raise InputError("the assessment is not signed by a trusted key", remedy=f"{assess}, with AIMS_SIGNING_KEY set")
    if new.statement.source != source:
        raise InputError("the assessment is about other files", remedy=assess)
    if new.statement.assessed_at > at + CLOCKS_DIFFER:
        raise InputError("the assessment is dated in the future", remedy="Set the clock, and assess again")
    if held is not None:
        gains = held.signed_by is None and new.signed_by is not None
        if held.signed_by is not None and new.signed_by is None:
            raise InputError(
                "the assessment held is signed, this one is not", remedy=f"{assess}, with AIMS_SIGNING_KEY set"
            )
        counts = held.statement.assessed_at <= at + CLOCKS_DIFFER  # else no assessment could ever take its place
        if new.statement.assessed_at < held.statement.assessed_at and counts and not gains:
            raise InputError("the assessment is older than the one held", remedy=assess)
    return new


def check_flat(key: str, value: str, held: Held | None) -> None:
    """A signpost: it says what the assessment held says, or that there is none that counts.

    Raises:
        InputError: it says something else.
    """
    if key == "aims.status" and value in _DOWNGRADES:
        return
    if key == "aims.status" and value == AT_RISK and held and held.statement.overall in (Overall.PASS, Overall.WARN):
        return
    if held is None:
        raise InputError(
            f"{key} is written with an assessment, and the version has none",
            remedy="Assess the version with `aims assess`",
        )
    agrees = _points_to(value, held.statement) if key == "aims.attention" else value in _says(key, held.statement)
    if not agrees:
        raise InputError(f"{key} says other than the version's assessment", remedy="Leave it to `aims assess`")


def check_alarms(text: str) -> None:
    """The tag of alarms: rules and since when. What it says is bad news; the gate goes by the holds in its log.

    Raises:
        InputError: it says something else.
    """
    if not _ALARMS.fullmatch(text):
        raise InputError(f"{ALARM_TAG} names no alarms", remedy="Leave it to `aims monitor` and `aims watch`")


def _says(key: str, statement: Statement) -> tuple[str | None, ...]:
    match key:
        case "aims.status":
            return (str(statement.overall),)
        case "aims.assessed":
            return (f"{statement.assessed_at:%Y-%m-%d}",)
        case "aims.evidence":
            return (statement.evidence_sha256, short_digest(statement.evidence_sha256))
        case "aims.fresh_until":
            rows = (r for r in statement.rows.values() if r.status is Status.SATISFIED)
            ends = [row.valid_until for row in rows if row.valid_until is not None]
            return (f"{min(ends):%Y-%m-%d}" if ends else "none",)
        case _:
            return ()


def _points_to(value: str, statement: Statement) -> bool:
    """Whether ``aims.attention`` counts and names the rows the statement does, in any order."""
    statuses = {row: result.status for row, result in statement.rows.items()}
    if set(statuses.values()) <= {Status.SATISFIED, Status.NOT_APPLICABLE}:
        return value == "none"
    head, _, named = value.partition(LOOK_FIRST)
    ids = {row for row, status in statuses.items() if status in ATTENTION}
    told = set(named.split()) - {"…"}
    return head == in_short(statuses.values()) and (told <= ids if named.endswith("…") else told == ids)


def check_model_tag(key: str, value: str, said: Iterable[tuple[str | None, str]]) -> None:
    """A tag of the registered model itself: system and risk class, as an assessment or the policy's file says them.

    Args:
        key: Name of the tag.
        value: What it is to say.
        said: System id and risk class, as said by those who may say it.

    Raises:
        InputError: nobody says so.
    """
    check_name(key, MODEL_TAGS)
    place = MODEL_TAGS.index(key)
    if key == "aims.risk" and value not in set(RiskClass):
        raise InputError(f"{key} is none of the risk classes", remedy="Leave it to `aims assess`")
    if value not in {one[place] for one in said}:
        raise InputError(f"{key} says other than the model's assessments", remedy="Leave it to `aims assess`")
