"""Systems, versions in service and the assessments they bear, as the tests of portfolio and gap start from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aims_mlflow.assessment import Overall, Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.evidence import Verdict, sha256_of
from aims_mlflow.evidence.base import Basis
from aims_mlflow.gate.statement import TAG, RowResult, Statement, files_place, inputs_digest, write_statement

CATALOG = load_catalog(())
CONTENT = sha256_of(b"files")


def row(status=Status.SATISFIED, basis=Basis.MEASURED, *, unmet=None, days=None, at=None):
    """A row in short; ``days`` until it lapses."""
    until = None if days is None else (at or datetime.now(UTC)).replace(microsecond=0) + timedelta(days=days)
    if unmet is None and status is not Status.SATISFIED:
        unmet = 0
    return RowResult(status=status, basis=basis, unmet=unmet, valid_until=until)


def all_rows(given=None, *, otherwise=None):
    """Every row of the register: those given, the others without evidence."""
    blank = otherwise or row(Status.NO_EVIDENCE, None)
    return {row_id: (given or {}).get(row_id, blank) for row_id in CATALOG.ids}


def statement(source="m-1", **changes):
    """The assessment of a version in short."""
    fields = {
        "model_sha256": CONTENT,
        "listing_sha256": sha256_of(b"listing"),
        "source": source,
        "run_id": "0" * 32,
        "evidence_sha256": sha256_of(b"evidence"),
        "inputs_sha256": inputs_digest(()),
        "assessment_sha256": sha256_of(b"assessment"),
        "catalog_sha256": CATALOG.sha256,
        "assessed_at": datetime.now(UTC) - timedelta(minutes=5),
        "overall": Overall.WARN,
        "rows": all_rows(),
        "kinds": {"performance": Verdict.PASS},
    }
    return Statement(**{**fields, **changes})


def register(client, name, *, alias="champion", stage=None, source=None, tags=None, **changes):
    """A registered version with its assessment, in service under an alias or stage."""
    try:
        client.create_registered_model(name)
    except Exception as error:
        assert "exist" in str(error), error
    number = len(client.search_model_versions(f"name='{name}'")) + 1
    place = source or f"file:///models/{name}/{number}"
    version = client.create_model_version(name, place)
    if changes is not None and not changes.pop("unassessed", False):
        said = statement(**{"source": files_place(place), **changes})
        client.set_model_version_tag(name, version.version, TAG, write_statement(said))
    for key, value in (tags or {}).items():
        client.set_model_version_tag(name, version.version, key, value)
    if alias:
        client.set_registered_model_alias(name, alias, version.version)
    if stage:
        client.transition_model_version_stage(name, version.version, stage)
    return version


def declare(records, system, *, risk_class="high", models=(), owner="Head of Credit", **content):
    """A system on record."""
    given = {"name": system.title(), "registered_models": list(models), "risk_class": risk_class, **content}
    return records.file("system", given, owner=owner, id=system)
