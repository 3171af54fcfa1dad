"""The assessment in short, as a signed in-toto statement small enough for one registry tag.

It is the summary a verifier hands on (in-toto's Verification Summary Attestation is the model): what was assessed, by
content; what each row came to, on what basis, until when. The gate decides on it without a download; the whole
assessment and its evidence stay in the run, named by digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, ValidationError

from aims_mlflow.assessment import Assessment, Finding, Ground, Outcome, Overall, Status
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import EvidenceBase, EvidenceStatus, ModelFile, Verdict
from aims_mlflow.evidence.base import Basis, Record, Sha256, UtcTime, canonical_json, sha256_of
from aims_mlflow.gate.signing import SigningKey, envelope, open_envelope, signer

TAG = "aims.vsa"
"""Of a registered version. It sorts after the five tags people read, so that it does not push them out of the box."""
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:aims-mlflow:assessment-summary:v1"
LIMIT = 20_000
"""Characters of a tag that is longer than any this library writes."""

_STATUS = {
    Status.SATISFIED: "s",
    Status.NOT_SATISFIED: "n",
    Status.UNCERTAIN: "u",
    Status.STALE: "o",
    Status.NO_EVIDENCE: "e",
    Status.NEEDS_ATTESTATION: "p",
    Status.NOT_APPLICABLE: "x",
    Status.ERROR: "r",
}
"""In a letter: MLflow 2 keeps 5,000 characters of a tag, and all rows have to fit."""
_BASIS = {None: "-", Basis.MEASURED: "m", Basis.REPORTED: "r", Basis.DECLARED: "d", Basis.ATTESTED: "a"}


_CYCLE = "~"
"""Before the end of what the management system's own cycle looks at again."""


class RowResult(Record):
    """What one clause or control came to."""

    status: Status
    basis: Basis | None = None
    valid_until: UtcTime | None = None
    """Of a satisfied or stale row; the others hold until the statement's ``open_until``."""
    until_ground: Ground | None = None
    """``cycle`` where that says so; None: its evidence does."""
    unmet: int | None = Field(default=None, ge=0)
    """Place of the first requirement that is not met among those of the row."""

    def short(self) -> str:
        """Status, basis, end of validity and unmet requirement in a few characters.

        An end that the cycle sets, not the evidence, is ``~`` and the seconds since 1970.
        """
        end = "" if self.valid_until is None else _short_time(self.valid_until)
        if self.valid_until is not None and self.until_ground is Ground.CYCLE:
            end = f"{_CYCLE}{int(self.valid_until.timestamp())}"
        unmet = "" if self.unmet is None else str(self.unmet)
        return f"{_STATUS[self.status]}/{_BASIS[self.basis]}/{end}/{unmet}"

    @classmethod
    def from_short(cls, text: str) -> Self:
        """The reverse of ``short``.

        Raises:
            ValueError: it is not of that form.
        """
        letter, code, end, unmet = text.split("/")
        status = {c: s for s, c in _STATUS.items()}.get(letter) or Status(letter)  # in full, as it was written once
        basis = {c: b for b, c in _BASIS.items()}
        if code not in basis:
            msg = "no such basis"
            raise ValueError(msg)
        ground = Ground.CYCLE if end.startswith(_CYCLE) else None
        until = _time_of(end.replace(_CYCLE, "@", 1) if ground else end) if end else None
        return cls(
            status=status,
            basis=basis[code],
            valid_until=until,
            until_ground=ground,
            unmet=int(unmet) if unmet else None,
        )


def _short_time(when: datetime) -> str:
    """The day, of the first moment of a day; else the seconds since 1970."""
    when = when.astimezone(UTC)
    is_day = (when.hour, when.minute, when.second) == (0, 0, 0)
    return f"{when:%Y%m%d}" if is_day else f"@{int(when.timestamp())}"


def _time_of(text: str) -> datetime:
    """The reverse of ``_short_time``; in full, as it was written once, it is read as well.

    Raises:
        ValueError: it is no time.
    """
    if text.startswith("@"):
        try:
            return datetime.fromtimestamp(int(text[1:]), UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(str(error)) from error
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ" if "T" in text else "%Y%m%d").replace(tzinfo=UTC)


class Statement(Record):
    """What the gate knows of an assessment."""

    model_sha256: Sha256
    """Over path and content of every file of the model: what the evidence is bound to."""
    listing_sha256: Sha256
    """Over path and size of every file, for where hashing them would mean a download."""
    source: str
    """Where the files are, see ``files_place``."""
    run_id: str | None
    evidence_sha256: Sha256
    """Of the manifest in the run, as its tag ``aims.evidence`` names it."""
    inputs_sha256: Sha256
    """Over name, digest and context of the run's dataset inputs."""
    assessment_sha256: Sha256
    declaration_sha256: Sha256 | None = None
    catalog_sha256: Sha256
    assessed_at: UtcTime
    overall: Overall
    system_id: str | None = None
    risk_class: str = "unclassified"
    rows: dict[str, RowResult]
    """Id to result, of every row of the register."""
    kinds: dict[str, Verdict] = Field(default_factory=dict)
    """Kind of evidence to the worst verdict among its records."""
    open_until: UtcTime | None = None
    """When what is open is looked at again; None where all is satisfied."""
    trained_by: str | None = None
    """Who MLflow says made the run."""
    schema_version: Literal["1"] = "1"

    @property
    def digest(self) -> str:
        """``sha256:`` over the statement's canonical bytes."""
        return sha256_of(self.payload())

    def payload(self) -> bytes:
        """The in-toto statement as canonical JSON."""
        predicate = self.model_dump(mode="json", exclude={"rows", "model_sha256", "evidence_sha256"}, exclude_none=True)
        predicate["rows"] = {row: result.short() for row, result in self.rows.items()}
        return canonical_json(
            {
                "_type": STATEMENT_TYPE,
                "subject": [
                    {"name": "model", "digest": {"sha256": _bare(self.model_sha256)}},
                    {"name": "evidence", "digest": {"sha256": _bare(self.evidence_sha256)}},
                ],
                "predicateType": PREDICATE_TYPE,
                "predicate": predicate,
            }
        )


class Held(Record):
    """A statement as it was found, with the key that signed it."""

    statement: Statement
    signed_by: str | None = None
    """Name of the trusted key; None where none of them did."""


def write_statement(statement: Statement, key: SigningKey | None = None) -> str:
    """The tag's value: a DSSE envelope in JSON."""
    return json.dumps(envelope(statement.payload(), PAYLOAD_TYPE, key), separators=(",", ":"))


def read_statement(text: str, trusted: Mapping[str, str]) -> Held:
    """Read a tag's value and find who signed it.

    Args:
        text: The tag.
        trusted: Name to public key.

    Raises:
        EvidenceError: it is not a statement of ours. Whether it is signed is for the policy to judge.
    """
    try:
        payload, signatures = open_envelope(text, PAYLOAD_TYPE, limit=LIMIT)
        outer = json.loads(payload)
        if outer["_type"] != STATEMENT_TYPE or outer["predicateType"] != PREDICATE_TYPE:
            raise ValueError(outer["predicateType"])
        digests = {s["name"]: f"sha256:{s['digest']['sha256']}" for s in outer["subject"]}
        predicate = dict(outer["predicate"])
        predicate["rows"] = {row: RowResult.from_short(short) for row, short in predicate["rows"].items()}
        predicate |= {"model_sha256": digests["model"], "evidence_sha256": digests["evidence"]}
        statement = Statement.model_validate(predicate)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ValidationError) as error:
        raise EvidenceError(
            f"the tag {TAG} holds no assessment that can be read ({type(error).__name__})",
            remedy="Assess the version again.",
        ) from error
    return Held(statement=statement, signed_by=signer(payload, PAYLOAD_TYPE, signatures, trusted))


def rows_of(findings: Iterable[Finding]) -> dict[str, RowResult]:
    """The rows in short, seconds cut: what is said to be valid is so in full."""
    return {
        f.id: RowResult(
            status=f.status,
            basis=f.basis,
            valid_until=f.valid_until.replace(microsecond=0)
            if f.valid_until and f.until_ground is not Ground.REFRESH
            else None,
            until_ground=f.until_ground if f.until_ground is Ground.CYCLE else None,
            unmet=next((n for n, check in enumerate(f.checks) if check.outcome is not Outcome.PASS), None),
        )
        for f in findings
    }


def open_until(findings: Iterable[Finding]) -> datetime | None:
    """When what is open is looked at again, seconds cut; None where nothing is open."""
    ends = [f.valid_until for f in findings if f.until_ground is Ground.REFRESH and f.valid_until]
    return min(ends).replace(microsecond=0) if ends else None


_WORST = (Verdict.FAIL, Verdict.NOT_TESTED, Verdict.UNCERTAIN, Verdict.RECORDED, Verdict.PASS)


def kinds_of(evidence: Iterable[EvidenceBase]) -> dict[str, Verdict]:
    """Kind to the worst verdict among its records; a record that could not be made counts as not tested."""
    worst: dict[str, Verdict] = {}
    for record in evidence:
        verdict = record.verdict if record.status is EvidenceStatus.OK else Verdict.NOT_TESTED
        kind = str(getattr(record, "kind", ""))
        if kind not in worst or _WORST.index(verdict) < _WORST.index(worst[kind]):
            worst[kind] = verdict
    return worst


def files_place(source: str) -> str:
    """Where a version's files are, in the one form a statement names it.

    Args:
        source: The source of the version, or of the one it was copied from: ``models:/m-...``, ``runs:/id/path``, or a
            place in an artifact store.
    """
    plain = source.strip().rstrip("/")
    if plain.startswith("models:/m-"):
        return plain.removeprefix("models:/")
    return plain.removeprefix("runs:/")


def listing_digest(sizes: Iterable[tuple[str, int]]) -> str:
    """``sha256:`` over path and size of every file, sorted by path."""
    lines = sorted(f"{path}\0{size}\n" for path, size in sizes)
    return "sha256:" + hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def listing_of(files: Iterable[ModelFile]) -> str:
    """The listing's digest of files as the model's record names them."""
    return listing_digest((f.path, f.bytes) for f in files)


def inputs_digest(inputs: Iterable[tuple[str, str, str]]) -> str:
    """``sha256:`` over name, digest and context of a run's dataset inputs, sorted."""
    return sha256_of(canonical_json(sorted([list(one) for one in inputs])))


def state(
    assessment: Assessment,
    evidence: Iterable[EvidenceBase],
    *,
    files: Iterable[ModelFile],
    source: str,
    run_id: str | None,
    evidence_sha256: str,
    inputs_sha256: str,
    trained_by: str | None,
) -> Statement:
    """The statement of an assessment of one model.

    Args:
        assessment: Its subject names the model by content.
        evidence: What it was made on.
        files: The model's files, from its record.
        source: Where they are, see ``Statement.source``.
        run_id: The run that holds the evidence.
        evidence_sha256: Digest of the run's manifest.
        inputs_sha256: See ``inputs_digest``.
        trained_by: User name of the run.

    Raises:
        EvidenceError: the assessment is not bound to the content of a model.
    """
    model = assessment.subject.model
    if model is None or model.sha256 is None:
        raise EvidenceError("the assessment is not bound to the files of a model", remedy="Log the model with the run.")
    return Statement(
        model_sha256=model.sha256,
        listing_sha256=listing_of(files),
        source=source,
        run_id=run_id,
        evidence_sha256=evidence_sha256,
        inputs_sha256=inputs_sha256,
        assessment_sha256=sha256_of(canonical_json(assessment)),
        declaration_sha256=assessment.declaration_sha256,
        catalog_sha256=assessment.catalog_sha256,
        assessed_at=assessment.assessed_at,
        overall=assessment.overall,
        system_id=assessment.subject.system_id,
        risk_class=assessment.risk_class,
        rows=rows_of(assessment.findings),
        kinds=kinds_of(evidence),
        open_until=open_until(assessment.findings),
        trained_by=trained_by,
    )


def _bare(digest: str) -> str:
    return digest.removeprefix("sha256:")
