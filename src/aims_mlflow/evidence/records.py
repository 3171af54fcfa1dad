"""Evidence that is not measured here: a person's statement, or a record of the caller's own kind."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from aims_mlflow.evidence.base import Basis, EvidenceBase, JsonValue, Record, Sha256


class DocumentRef(Record):
    """A document, by pointer and hash."""

    title: str
    version: str | None = None
    uri: str | None = None
    sha256: Sha256 | None = None


class AttestationRecord(EvidenceBase):
    """A named person's dated statement that supports clauses or controls."""

    kind: Annotated[str, Field(pattern="^attestation$")] = "attestation"
    basis: Basis = Basis.ATTESTED
    topic: str
    """What it is about, a record type of the register: ``ai_policy``, ``internal_audit``, ``impact_assessment``..."""
    statement: str
    owner: str = Field(min_length=1)
    approver: str | None = None
    role: str | None = None
    valid_from: date
    supports: tuple[str, ...] = ()
    """Ids of the clauses and controls it supports."""
    document: DocumentRef | None = None


class CustomRecord(EvidenceBase):
    """A record of any other kind: the content is the caller's."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{1,63}$")]
    basis: Basis = Basis.REPORTED
    content: dict[str, JsonValue] = Field(default_factory=dict)
