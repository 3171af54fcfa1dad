"""The steps of an incident or nonconformity: each makes the next content from the one before, or says why not. Pure.

open -> contained -> closed. What is closed stays closed: what comes back is another incident.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Record
from aims_mlflow.management.incidents import (
    AffectedVersion,
    CorrectiveAction,
    EffectivenessCheck,
    Handled,
    Harm,
    IncidentContent,
    LogLine,
    NonconformityContent,
    Notice,
    Severity,
)

H = TypeVar("H", bound=Handled)
R = TypeVar("R", bound=Record)
Case = TypeVar("Case", IncidentContent, NonconformityContent)

RANK: dict[str, int] = {"minor": 0, "major": 1, "serious": 2}
"""Severities, mildest first."""


def made(kind: type[R], fields: dict[str, Any]) -> R:
    """The content.

    Raises:
        InputError: what is said cannot be, or a field is not of its kind.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(str(first["msg"]).removeprefix("Value error, "), where=place) from error


def corrected(content: Case, correction: str, *, at: datetime, by: str = "") -> Case:
    """Say what was done at once. An incident is contained by it.

    Raises:
        InputError: it is closed, or nothing is said.
    """
    _must_be_open(content)
    text = _needs(correction, "what was done at once", "correction")
    if isinstance(content, IncidentContent):
        return _next(content, at, by, f"contained: {text}", correction=text, status="contained")
    return _next(content, at, by, f"corrected: {text}", correction=text)


def explained(content: Case, cause: str, *, at: datetime, by: str = "") -> Case:
    """Say why it happened.

    Raises:
        InputError: it is closed, or nothing is said.
    """
    _must_be_open(content)
    text = _needs(cause, "the cause", "cause")
    return _next(content, at, by, f"cause: {text}", cause=text)


def noted(content: Case, note: str, *, at: datetime, by: str = "") -> Case:
    """Note something, without changing anything else.

    Raises:
        InputError: it is closed, or nothing is said.
    """
    _must_be_open(content)
    return _next(content, at, by, _needs(note, "a note", "note"))


BLOCKS = "holds "
"""What the log line begins with that says which version is held while an alarm stands."""


def blocked(content: IncidentContent, version: str, *, at: datetime, by: str = "") -> IncidentContent:
    """Hold a version from promotion while the alarm that opened the incident stands.

    Args:
        content: The incident.
        version: ``name/version``.
        at: Now.
        by: Who says so; empty: the rule.

    Raises:
        InputError: it is closed.
    """
    _must_be_open(content)
    if version in content.blocks:
        return content
    said = f"{BLOCKS}{version} from promotion while the alarm stands"
    return _next(content, at, by, said, blocks=(*content.blocks, version))


def recovered(content: IncidentContent, note: str, *, at: datetime, by: str = "") -> IncidentContent:
    """Note that the alarm is over. The incident stays open: whether it is dealt with is for a person to say.

    Raises:
        InputError: it is closed, or nothing is said.
    """
    _must_be_open(content)
    return _next(content, at, by, _needs(note, "a note", "note"), blocks=())


def rated(
    content: IncidentContent, severity: Severity, reason: str | None, *, at: datetime, by: str = ""
) -> IncidentContent:
    """Rate an incident anew. To rate it lower needs a reason: a serious one holds the system.

    Raises:
        InputError: it is closed, there is no such severity, or the reason is missing.
    """
    _must_be_open(content)
    if severity not in RANK:
        raise InputError(f"there is no severity {str(severity)[:40]!r}", remedy=f"One of {', '.join(RANK)}.")
    why = (reason or "").strip()
    if RANK[severity] < RANK[content.severity] and not why:
        raise InputError(
            f"to rate it {severity} instead of {content.severity} needs a reason",
            where="severity",
            remedy="Give one with --reason.",
        )
    said = f"severity {content.severity} -> {severity}" + (f": {why}" if why else "")
    return _next(content, at, by, said, severity=severity)


def described(
    content: IncidentContent,
    *,
    at: datetime,
    by: str = "",
    harm: Harm | None = None,
    widespread: bool | None = None,
    occurred_at: datetime | None = None,
    aware_at: datetime | None = None,
    affected: Iterable[AffectedVersion] = (),
) -> IncidentContent:
    """Describe an incident better. Awareness can only be found to have been earlier: the clocks run from the first.

    Raises:
        InputError: it is closed, a time is in the future, or awareness would be later.
    """
    _must_be_open(content)
    change: dict[str, Any] = {}
    said = []
    if harm is not None and harm != content.harm:
        change["harm"] = harm
        said.append(f"harm {content.harm} -> {harm}")
    if widespread is not None and widespread != content.widespread:
        change["widespread"] = widespread
        said.append("widespread" if widespread else "not widespread")
    if occurred_at is not None:
        change["occurred_at"] = not_later(occurred_at, at, "occurred_at")
        said.append(f"occurred at {occurred_at:%Y-%m-%d %H:%M} UTC")
    if aware_at is not None:
        if not_later(aware_at, at, "aware_at") > content.aware_at:
            raise InputError(
                f"the organization was aware on {content.aware_at:%Y-%m-%d %H:%M} UTC already",
                where="aware_at",
                remedy="It can be set to an earlier moment only: the clocks run from the first knowledge.",
            )
        change["aware_at"] = aware_at
        said.append(f"aware at {aware_at:%Y-%m-%d %H:%M} UTC")
    known = {one.uri for one in content.affected}
    more = [one for one in affected if one.uri not in known]
    if more:
        change["affected"] = (*content.affected, *more)
        frozen = (*content.evidence, *(one.evidence_sha256 for one in more if one.evidence_sha256))
        change["evidence"] = tuple(dict.fromkeys(frozen))
        said.append(f"affected too: {', '.join(one.uri for one in more)}")
    if not change:
        raise InputError("nothing is changed by it", remedy="Say what is other than before, or add a note.")
    return _next(content, at, by, "; ".join(said), **change)


def notified(content: IncidentContent, notice: Notice, *, at: datetime, by: str = "") -> IncidentContent:
    """Say who was told. Also after an incident is closed: an authority may ask for more.

    Raises:
        InputError: the notice is in the future, or from before the organization was aware.
    """
    not_later(notice.at, at, "at")
    said = f"{notice.kind} notice to {notice.to}" + (f" ({notice.reference})" if notice.reference else "")
    return _next(content, at, by, said, notices=(*content.notices, notice))


def not_due(content: IncidentContent, reason: str, *, at: datetime, by: str = "") -> IncidentContent:
    """Say why the authority need not be told.

    Raises:
        InputError: it is closed, it was told already, or no reason is given.
    """
    _must_be_open(content)
    if any(one.to == "authority" for one in content.notices):
        raise InputError("the authority was told already", where="notices")
    text = _needs(reason, "the reason why no notice was due", "reason")
    return _next(content, at, by, f"no notice to the authority due: {text}", no_notice_reason=text)


def planned(content: Case, action: CorrectiveAction, *, at: datetime, by: str = "") -> Case:
    """Plan an action against its return.

    Raises:
        InputError: it is closed, or the action cannot be as it is said.
    """
    _must_be_open(content)
    said = f"action {len(content.actions) + 1}, {action.owner} until {action.due:%Y-%m-%d}: {action.what}"
    return _next(content, at, by, said, actions=(*content.actions, action), no_action_reason=None)


def done(content: Case, number: int, done_at: datetime, *, at: datetime, by: str = "") -> Case:
    """Say that an action was done.

    Args:
        content: What it is about.
        number: Which one, from 1.
        done_at: When.
        at: Now.
        by: Who says so.

    Raises:
        InputError: it is closed, there is no such action, it was done before, or that is in the future.
    """
    _must_be_open(content)
    if not 1 <= number <= len(content.actions):
        listed = "; ".join(f"{n}: {a.what}" for n, a in enumerate(content.actions, 1)) or "none is planned yet"
        raise InputError(f"there is no action {number}", where="actions", remedy=f"There are: {listed}.")
    before = content.actions[number - 1]
    if before.done_at is not None:
        raise InputError(f"action {number} was done on {before.done_at:%Y-%m-%d} already", where="actions")
    after = before.model_copy(update={"done_at": not_later(done_at, at, "done_at")})
    actions = (*content.actions[: number - 1], after, *content.actions[number:])
    return _next(content, at, by, f"action {number} done", actions=actions)


def no_action(content: Case, reason: str, *, at: datetime, by: str = "") -> Case:
    """Say why no action is needed against its return.

    Raises:
        InputError: it is closed, an action is planned, or no reason is given.
    """
    _must_be_open(content)
    if content.actions:
        raise InputError("an action is planned or done", where="actions", remedy="Do what is planned.")
    text = _needs(reason, "the reason why no action is needed", "reason")
    return _next(content, at, by, f"no action needed: {text}", no_action_reason=text)


def checked(content: Case, check: EffectivenessCheck, *, at: datetime, by: str = "") -> Case:
    """Say whether what was done worked.

    Raises:
        InputError: it is closed, nothing was done yet, or the check is in the future.
    """
    _must_be_open(content)
    not_later(check.at, at, "at")
    if content.open_actions:
        raise InputError(
            f"the action {content.open_actions[0].what!r} is not done: there is nothing to check yet",
            where="actions",
            remedy="Do it, and say so with `act --done`.",
        )
    said = "effective" if check.effective else "not effective"
    return _next(content, at, by, f"checked by {check.by}, {said}: {check.how}", effectiveness=check)


def closed(content: Case, *, at: datetime, by: str = "", note: str | None = None) -> Case:
    """Close it.

    Raises:
        InputError: it is closed already, was never contained, or something closing needs is not there.
    """
    _must_be_open(content)
    if _uncontained(content):
        raise InputError(
            "it was not contained yet", where="status", remedy='Say how: aims incident update ID --contained "...".'
        )
    lacking = list(content.lacking())
    if lacking:
        raise InputError(f"to be closed it needs {'; '.join(lacking)}", remedy=_remedy(content, lacking[0]))
    said = "closed" + (f": {note.strip()}" if note and note.strip() else "")
    return _next(content, at, by, said, status="closed", closed_at=at)


def _uncontained(content: Handled) -> bool:
    return isinstance(content, IncidentContent) and content.status == "open"


def _remedy(content: Handled, first: str) -> str:
    command = "aims incident" if isinstance(content, IncidentContent) else "aims nonconformity"
    for words, step in (
        ("what was done", 'update ID --correction "..."'),
        ("its cause", 'update ID --cause "..."'),
        ("an action against", 'act ID --what "..." --owner NAME --due DATE'),
        ("the action ", "act ID --done N"),
        ("a check", 'check ID --effective --by NAME --how "..."'),
        ("the notice", "notify ID --to authority --at TIME"),
    ):
        if first.startswith(words):
            return f"{command} {step}"
    return ""


def not_later(moment: datetime, at: datetime, where: str) -> datetime:
    """The moment.

    Raises:
        InputError: it is to come.
    """
    if moment > at:
        raise InputError(f"{moment:%Y-%m-%d %H:%M} UTC is in the future", where=where, remedy="Say when it was.")
    return moment


def _needs(text: str | None, what: str, where: str) -> str:
    plain = " ".join((text or "").split())
    if not plain:
        raise InputError(f"{what} is not said", where=where, remedy="Say it in a sentence.")
    return plain


def _must_be_open(content: Handled) -> None:
    if content.is_closed:
        raise InputError(
            f"it was closed on {content.closed_at:%Y-%m-%d}", where="status", remedy="Open another one for what is new."
        )


def _next(content: H, at: datetime, by: str, said: str, **change: Any) -> H:
    plain = content.model_dump()
    plain |= {name: _plain(value) for name, value in change.items()}
    plain["log"] = [*plain["log"], LogLine(at=at, by=by, what=said).model_dump()]
    return made(type(content), plain)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(one) for one in value)
    return value.model_dump() if hasattr(value, "model_dump") else value
