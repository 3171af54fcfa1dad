"""A dataset's profile as evidence, and the profile of such evidence."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.config import Settings
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import DatasetRef, ReferenceProfile, Subject, Verdict, sha256_of
from aims_mlflow.frames import Table
from aims_mlflow.sketches import Profile

_METHOD = (
    "One pass over the full data: numbers as counts and sums in bins over the middle 99.8 % and eight bins to every "
    "doubling of the distance beyond, labels as counts by digest. Bins of fewer values than the smallest cell have no "
    "sum; no row and no single value is kept."
)


def reference_record(
    table: Table, ref: DatasetRef, *, settings: Settings, subject: Subject, at: datetime
) -> ReferenceProfile:
    """The dataset in mergeable summaries, for live data to be held against.

    Args:
        table: The data.
        ref: The dataset, by content.
        settings: The declaration in force.
        subject: What the evidence is about.
        at: When.
    """
    declaration = settings.declaration
    cell = declaration.privacy.smallest_cell
    plan = Profile.plan_of(table, columns=declaration.columns, privacy=declaration.privacy)
    content = Profile.of(table, plan).to_bytes(smallest_cell=cell)
    return ReferenceProfile(
        collector=COLLECTOR,
        captured_at=at,
        subject=subject,
        method=_METHOD,
        parameters={"smallest_cell": cell, "plan_sha256": plan.sha256},
        numbers={"rows": table.rows, "columns": len(table.columns), "bytes": len(content)},
        verdict=Verdict.RECORDED,
        reason=f"{table.rows:,} rows and {len(table.columns)} columns are summarised in {len(content):,} bytes.",
        dataset=ref,
        profile_sha256=sha256_of(content),
        profile=base64.b64encode(content).decode("ascii"),
        rows=table.rows,
        columns=table.names,
    )


def profile_of_record(record: ReferenceProfile) -> Profile:
    """The profile the evidence carries.

    Raises:
        EvidenceError: it is damaged, or not the one its digest names.
    """
    try:
        content = base64.b64decode(record.profile, validate=True)
    except (binascii.Error, ValueError) as error:
        msg = f"the reference profile cannot be read ({type(error).__name__})"
        raise EvidenceError(msg) from None
    if sha256_of(content) != record.profile_sha256:
        msg = "the reference profile does not match its digest"
        raise EvidenceError(msg, remedy="Restore the evidence of the training run, or run the training again.")
    return Profile.from_bytes(content)
