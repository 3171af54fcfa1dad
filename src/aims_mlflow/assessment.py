"""The conclusion: check results, findings, the assessment of one subject at one time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from pydantic import Field

from aims_mlflow.controls import Strength
from aims_mlflow.evidence.base import Basis, Record, Sha256, Subject, Tool, UtcTime, canonical_json


class Status(StrEnum):
    """The status of a clause or control, one meaning each."""

    SATISFIED = "satisfied"
    """Every requirement is met by current evidence."""
    NOT_SATISFIED = "not-satisfied"
    """Evidence shows that a requirement is not met."""
    UNCERTAIN = "uncertain"
    """Evidence is there, but its interval does not allow a verdict."""
    STALE = "stale"
    """It was met; the evidence is past its validity, or is about another version."""
    NO_EVIDENCE = "no-evidence"
    """Measured evidence is missing."""
    NEEDS_ATTESTATION = "needs-attestation"
    """Only a person's statement is missing."""
    NOT_APPLICABLE = "not-applicable"
    """Excluded in the Statement of Applicability, with a reason."""
    ERROR = "error"
    """Could not be judged: a collector or check could not run."""


class Overall(StrEnum):
    """The overall finding, written to the tag ``aims.status``."""

    PASS = "pass"  # noqa: S105
    """Every applicable row is satisfied."""
    WARN = "warn"
    """Nothing failed; some rows lack evidence, attestation or certainty."""
    FAIL = "fail"
    """At least one row is not satisfied."""
    STALE = "stale"
    """Nothing failed; some evidence is past its validity."""
    ERROR = "error"
    """Nothing failed; some rows could not be judged."""
    NOT_ASSESSED = "not-assessed"


class Outcome(StrEnum):
    """The outcome of one check of one requirement."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNCERTAIN = "uncertain"
    STALE = "stale"
    MISSING = "missing"
    ERROR = "error"


class Ground(StrEnum):
    """What says until when a finding holds."""

    EVIDENCE = "evidence"
    """The first of its evidence to lapse: a last day of its own, or the age the register or ``aims.yaml`` allows."""
    CYCLE = "cycle"
    """Nothing dates its evidence, only a new version or event does away with it: the management system's own cycle
    looks again, see ``validity.version_bound_days``."""
    REFRESH = "refresh"
    """It is open, or does not apply: it holds until it is looked at again, see ``validity.open_days``."""


class CheckResult(Record):
    """One requirement judged."""

    requirement: str
    check: str
    outcome: Outcome
    reason: str
    evidence: tuple[Sha256, ...] = ()
    basis: Basis | None = None
    """The weakest basis of the evidence that met it."""
    attested_part: bool = False
    """True where only a person's statement can meet it."""
    valid_until: UtcTime | None = None
    """When what meets it lapses; of one that lapsed, when it did; null where nothing meets it."""
    until_ground: Ground | None = None
    """What says so."""


class Finding(Record):
    """The conclusion on one row."""

    id: str
    title: str
    kind: Literal["clause", "control"]
    framework: str
    status: Status
    strength: Strength
    basis: Basis | None = None
    """The weakest basis its evidence rests on; null without evidence."""
    reason: str
    next_step: str
    """What to do next; empty when nothing is to be done."""
    evidence: tuple[Sha256, ...] = ()
    """Digests of the evidence it rests on."""
    valid_until: UtcTime | None = None
    """Until when it holds; of a stale one, when it lapsed. ``evaluate`` gives every finding one."""
    until_ground: Ground | None = None
    """What says so."""
    checks: tuple[CheckResult, ...] = ()

    def __str__(self) -> str:
        return f"{self.id} {self.title}: {self.status}. {self.reason}"

    def __repr__(self) -> str:
        return f"<Finding {self.id}: {self.status}>"


def _canonical(finding: Finding) -> bytes:
    return canonical_json(finding).removesuffix(b"\n")


_canonical_blank = lru_cache(maxsize=2048)(_canonical)
"""Of a finding that rests on no record, which is the same from run to run."""


class Assessment(Record):
    """All findings for one subject at one time."""

    schema_version: Literal["1"] = "1"
    assessed_at: UtcTime
    collector: Tool
    subject: Subject
    system_name: str | None = None
    risk_class: str = "unclassified"
    overall: Overall
    headline: str
    """One plain sentence."""
    counts: dict[str, int]
    """Status to number of rows, every status named."""
    findings: tuple[Finding, ...]
    attention: tuple[str, ...] = ()
    """Ids of the rows to look at first: not satisfied, error, uncertain, stale, in that order."""
    fresh_until: UtcTime | None = None
    """The first moment at which a satisfied row lapses."""
    declaration_sha256: Sha256 | None = None
    catalog_sha256: Sha256
    evidence: dict[str, str] = Field(default_factory=dict)
    """Digest to kind, of all evidence looked at."""
    undeclared: tuple[str, ...] = ()

    @property
    def canonical(self) -> bytes:
        """The bytes ``canonical_json`` gives; what it says of rows without evidence is worked out once a process."""
        rest = self.model_dump(mode="json", exclude={"findings"})
        before = canonical_json({name: value for name, value in rest.items() if name < "findings"})
        after = canonical_json({name: value for name, value in rest.items() if name > "findings"})
        findings = b",".join([_canonical_blank(f) if not f.evidence else _canonical(f) for f in self.findings])
        return before.removesuffix(b"}\n") + b',"findings":[' + findings + b"]," + after.removeprefix(b"{")

    @property
    def in_short(self) -> str:
        """``5 of 70 satisfied; 65 open``: the headline in the fewest words. Rows that do not apply are not counted."""
        return in_short(f.status for f in self.findings)

    def __str__(self) -> str:
        return f"{self.overall}: {self.headline}"

    def __repr__(self) -> str:
        run, model = self.subject.run, self.subject.model
        about = f" of run {run.run_id}" if run and run.run_id else ""
        if model and model.registered_name:
            about = f" of {model.registered_name} version {model.version}"
        return f"<Assessment{about}: {self.overall}, {self.in_short}>"


def in_short(statuses: Iterable[Status]) -> str:
    """``5 of 70 satisfied; 65 open``. Rows that do not apply are not counted."""
    counts = Counter(statuses)
    applicable = counts.total() - counts[Status.NOT_APPLICABLE]
    return f"{counts[Status.SATISFIED]} of {applicable} satisfied; {applicable - counts[Status.SATISFIED]} open"
