"""Incidents and nonconformities (A.8.4, 10.2, EU AI Act Art. 73): what happened, its clocks, and what was done.

Each update is a revision that holds the whole. What cannot be, or is closed without what closing needs, is no content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from aims_mlflow.evidence.base import Record, Sha256, UtcTime

Severity = Literal["minor", "major", "serious"]
Harm = Literal["none", "health", "death", "critical infrastructure", "fundamental rights", "property or environment"]
Grade = Literal["major", "minor", "opportunity"]
FoundBy = Literal["internal audit", "external audit", "monitoring", "management review", "other"]
Addressee = Literal["authority", "users", "provider", "persons affected", "management"]


class AffectedVersion(Record):
    """A registered version that took part, with what it was when the incident was opened."""

    registered_name: str
    version: str
    model_sha256: Sha256 | None = None
    """Over its files; null where they could not be hashed."""
    run_id: str | None = None
    evidence_sha256: Sha256 | None = None
    """Of the manifest of its run's evidence (run tag ``aims.evidence``); null where there was none."""
    evidence_files: tuple[Sha256, ...] = ()
    """Digests of the evidence the manifest listed, so that what is added later does not look like a change."""
    targets: tuple[str, ...] = ()
    """What it served as: ``alias champion``, ``stage Production``."""

    @property
    def uri(self) -> str:
        """``name/version``."""
        return f"{self.registered_name}/{self.version}"


class Notice(Record):
    """Who was told, and when."""

    to: Addressee
    at: UtcTime
    kind: Literal["initial", "intermediate", "final"] = "initial"
    reference: str | None = None


class EffectivenessCheck(Record):
    """Whether the corrective action worked."""

    at: UtcTime
    by: str = Field(min_length=1)
    effective: bool
    how: str = Field(min_length=1)


class CorrectiveAction(Record):
    """What is done so that it does not come back."""

    what: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    due: UtcTime
    done_at: UtcTime | None = None


class LogLine(Record):
    """What was noted at an update."""

    at: UtcTime
    by: str = ""
    what: str


class Handled(Record):
    """What is common to whatever is corrected, explained, acted on, and looked at again."""

    title: str = Field(min_length=1)
    correction: str | None = None
    """What was done at once, to contain it or put it right."""
    cause: str | None = None
    actions: tuple[CorrectiveAction, ...] = ()
    no_action_reason: str | None = None
    """Why no action is needed against its return."""
    effectiveness: EffectivenessCheck | None = None
    """The latest check."""
    closed_at: UtcTime | None = None
    opened_by: str | None = None
    """Rule that opened it by itself; null where a person did."""
    log: tuple[LogLine, ...] = ()
    """What was noted at each update, oldest first."""

    @property
    def known_since(self) -> UtcTime:
        """When the organization came to know of it."""
        raise NotImplementedError

    @property
    def is_closed(self) -> bool:
        """Whether it is closed."""
        return self.closed_at is not None

    @property
    def open_actions(self) -> tuple[CorrectiveAction, ...]:
        """Actions that are not done."""
        return tuple(action for action in self.actions if action.done_at is None)

    def lacking(self) -> Iterator[str]:
        """What closing it needs and is not there, each as the words after ``it needs``."""
        if not _said(self.correction):
            yield "what was done at once, to contain it or put it right"
        if not _said(self.cause):
            yield "its cause"
        if not self.actions and not _said(self.no_action_reason):
            yield "an action against its return, or the reason why none is needed"
        for action in self.open_actions:
            yield f"the action {action.what!r} done"
        yield from self._check_lacking()

    def _check_lacking(self) -> Iterator[str]:
        check = self.effectiveness
        done = max((a.done_at for a in self.actions if a.done_at is not None), default=None)
        if check is None:
            yield "a check whether what was done worked"
        elif not check.effective:
            yield "a check that found it effective: the last one did not"
        elif done is not None and check.at < done:
            yield "a check that is later than the last action"

    def impossible(self) -> Iterator[str]:
        """What cannot be as it is said."""
        since = self.known_since
        for action in self.actions:
            if action.due < since:
                yield f"the action {action.what!r} was due on {action.due:%Y-%m-%d}, before this was known"
            if action.done_at is not None and action.done_at < since:
                yield f"the action {action.what!r} was done before this was known"
        if self.effectiveness is not None and self.effectiveness.at < since:
            yield "the check was made before this was known"
        if self.closed_at is not None and self.closed_at < since:
            yield "it was closed before it was known"
        if self.is_closed:
            yield from (f"to be closed it needs {what}" for what in self.lacking())

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for what in self.impossible():
            raise ValueError(what)
        return self


class IncidentContent(Handled):
    """One incident."""

    severity: Severity
    """``serious`` in the sense of Art. 3(49); it blocks guarded moves of the system until it is closed."""
    harm: Harm = "none"
    widespread: bool = False
    """Whether it is a widespread infringement (Art. 3(61))."""
    occurred_at: UtcTime | None = None
    aware_at: UtcTime
    """When the organization became aware: the clocks of Art. 73 run from here."""
    affected: tuple[AffectedVersion, ...] = ()
    evidence: tuple[Sha256, ...] = ()
    """Digests of the evidence as it stood at opening: the manifests of the affected versions' runs."""
    status: Literal["open", "contained", "closed"] = "open"
    notices: tuple[Notice, ...] = ()
    no_notice_reason: str | None = None
    """Why no notice to the authority was due, of a serious one."""
    blocks: tuple[str, ...] = ()
    """Versions, ``name/version``, that a rule of the monitoring holds from promotion while its alarm stands."""

    @property
    def known_since(self) -> UtcTime:
        """When the organization became aware."""
        return self.aware_at

    @property
    def holds(self) -> bool:
        """Whether it keeps guarded moves of its system from passing."""
        return self.severity == "serious" and self.status != "closed"

    def holds_version(self, model: str, version: str) -> bool:
        """Whether it keeps guarded moves of one version from passing, be it serious or not."""
        return self.status != "closed" and f"{model}/{version}" in self.blocks

    def lacking(self) -> Iterator[str]:
        """See ``Handled``; a serious one also needs the notice to the authority."""
        yield from super().lacking()
        told = any(notice.to == "authority" for notice in self.notices)
        if self.severity == "serious" and not told and not _said(self.no_notice_reason):
            yield "the notice to the authority, or the reason why none was due"

    def impossible(self) -> Iterator[str]:
        """See ``Handled``."""
        if self.occurred_at is not None and self.aware_at < self.occurred_at:
            yield (
                f"the organization became aware on {self.aware_at:%Y-%m-%d %H:%M} UTC, "
                f"before it occurred on {self.occurred_at:%Y-%m-%d %H:%M} UTC"
            )
        for notice in self.notices:
            if notice.at < self.aware_at:
                yield f"the notice to {notice.to} was given before the organization became aware"
        if (self.status == "closed") != self.is_closed:
            yield "what is closed says when, and nothing else does"
        if self.status != "open" and not _said(self.correction):
            yield "what is contained says how"
        yield from super().impossible()


class NonconformityContent(Handled):
    """A requirement that was not met."""

    rows: tuple[str, ...] = Field(min_length=1)
    """Clauses and controls that were not met."""
    grade: Grade = "minor"
    found_by: FoundBy = "other"
    found_at: UtcTime
    status: Literal["open", "closed"] = "open"

    @property
    def known_since(self) -> UtcTime:
        """When it was found."""
        return self.found_at

    def impossible(self) -> Iterator[str]:
        """See ``Handled``."""
        if (self.status == "closed") != self.is_closed:
            yield "what is closed says when, and nothing else does"
        yield from super().impossible()


class LogReview(Record):
    """Somebody looked through the log of incidents or nonconformities: an empty log nobody looks at shows nothing."""

    statement: str = Field(min_length=1)
    """What was looked at, and found."""


def _said(text: str | None) -> bool:
    return bool(text and text.strip())
