"""Nonconformities in use: a requirement that was not met, its correction, cause, action, and whether that worked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import now
from aims_mlflow.filing.store import filer
from aims_mlflow.management import incident_steps as steps
from aims_mlflow.management.incident_log import Kind, Logged
from aims_mlflow.management.incidents import FoundBy, Grade, LogLine, NonconformityContent
from aims_mlflow.managing.cases import Cases, Moment, first_line, rule_id, since_start


class Nonconformities(Cases[NonconformityContent]):
    """The nonconformity log in use."""

    kind: ClassVar[Kind] = "nonconformity"
    prefix: ClassVar[str] = "NC"

    def open(
        self,
        title: str,
        *,
        rows: Sequence[str],
        grade: Grade = "minor",
        found_by: FoundBy = "other",
        found_at: Moment | None = None,
        owner: str | None = None,
        systems: Sequence[str] = (),
        id: str | None = None,  # noqa: A002  (the word of the record)
        correction: str | None = None,
        note: str | None = None,
        links: Sequence[str] = (),
        person: str | None = None,
        rule: str | None = None,
        episode: str = "",
    ) -> Logged:
        """Put a nonconformity on record.

        Args:
            title: What was not met, in a line.
            rows: Clauses and controls that were not met.
            grade: ``major``, ``minor``, or ``opportunity`` for improvement.
            found_by: Where it was found.
            found_at: When; now where None.
            owner: Who answers for it; the system's owner where None.
            systems: Systems it is about; none: the organization.
            id: Its id; ``NC-1``, ``NC-2``... where None.
            correction: What was done at once.
            note: For its log.
            links: Records it rests on, ``type:id``.
            person: Who found it; who acts where None.
            rule: The rule that opens it by itself.
            episode: Of a rule: what tells this episode from the next.

        Raises:
            InputError: what is said is wrong; nothing was filed.
            DeliveryError: MLflow cannot be reached.
        """
        at, by = now(), person or filer()
        state = self.records.state(at)
        for system in systems:
            self._check_system(state, system)
        named = self._rows(rows)
        found = at if found_at is None else steps.not_later(since_start(found_at, "found_at"), at, "found_at")
        said = {
            "title": " ".join((title or "").split()),
            "rows": named,
            "grade": grade,
            "found_by": found_by,
            "found_at": found,
            "correction": " ".join(correction.split()) or None if correction else None,
            "opened_by": rule,
            "log": [line.model_dump() for line in first_line(rule, at, by, note)],
        }
        filed = self._file_new(
            lambda _: steps.made(NonconformityContent, said),
            id_=rule_id(self.prefix, rule, (*systems, *named), episode) if rule else id,
            owner=self._owner(state, owner, systems),
            systems=systems,
            links=links,
            once=rule is not None,
        )
        return self._logged(filed, state)

    def update(
        self,
        id_: str,
        *,
        correction: str | None = None,
        cause: str | None = None,
        grade: Grade | None = None,
        reason: str | None = None,
        rows: Sequence[str] = (),
        note: str | None = None,
        owner: str | None = None,
        person: str | None = None,
    ) -> Logged:
        """Say more of a nonconformity.

        Raises:
            InputError: there is none, it is closed, nothing is changed, or another grade lacks its reason.
            DeliveryError: MLflow cannot be reached.
        """
        named = self._rows(rows) if rows else ()

        def change(content: NonconformityContent, at: datetime, by: str) -> NonconformityContent:
            made = content
            if grade is not None and grade != content.grade:
                made = steps.noted(made, _regraded(content, grade, reason), at=at, by=by)
                made = steps.made(NonconformityContent, made.model_dump() | {"grade": grade})
            if named:
                made = steps.noted(made, f"not met: {', '.join(named)}", at=at, by=by)
                made = steps.made(NonconformityContent, made.model_dump() | {"rows": named})
            if correction is not None:
                made = steps.corrected(made, correction, at=at, by=by)
            if cause is not None:
                made = steps.explained(made, cause, at=at, by=by)
            if note is not None:
                made = steps.noted(made, note, at=at, by=by)
            if made is content and owner is None:
                raise InputError("nothing is changed by it", remedy="Say what is other than before, or add a note.")
            return made

        return self._step(id_, person, change, **({"owner": owner} if owner else {}))

    def close(self, id_: str, *, note: str | None = None, person: str | None = None) -> Logged:
        """Close a nonconformity.

        Raises:
            InputError: there is none, it is closed, or something closing needs is not there.
            DeliveryError: MLflow cannot be reached.
        """
        return self._step(id_, person, lambda content, at, by: steps.closed(content, at=at, by=by, note=note))

    def _rows(self, rows: Sequence[str]) -> tuple[str, ...]:
        named = tuple(dict.fromkeys(row.strip() for row in rows if row.strip()))
        if not named:
            raise InputError("no requirement is named", where="rows", remedy="Name clause or control: --row 7.2.")
        for row in named:
            if row not in self.records.catalog.rows:
                hint = nearest(row, self.records.catalog.rows) or "'aims register' lists them."
                raise InputError(f"there is no clause or control {row[:60]!r}", where="rows", remedy=hint)
        return named


def _regraded(content: NonconformityContent, grade: Grade, reason: str | None) -> str:
    why = (reason or "").strip()
    if not why:
        raise InputError(
            f"to grade it {grade} instead of {content.grade} needs a reason", where="grade", remedy="Give --reason."
        )
    return f"grade {content.grade} -> {grade}: {why}"


__all__ = ["LogLine", "Nonconformities"]
