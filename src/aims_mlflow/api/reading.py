"""Read evidence, assessment and report back, verified."""

from __future__ import annotations

from aims_mlflow.api.targets import Place, resolve
from aims_mlflow.assessment import Assessment
from aims_mlflow.attach.bundle import ASSESSMENT, REPORT_HTML
from aims_mlflow.attach.store import RunStore, check_reachable
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import EvidenceBase


def load_evidence(target: str, kind: str | None = None, *, tracking_uri: str | None = None) -> list[EvidenceBase]:
    """The evidence of a run or model version, oldest first, verified against its manifest and tag.

    Raises:
        InputError: ``target`` names neither run nor model.
        EvidenceError: a file was changed, added or removed since, or has an unknown schema.
    """
    store, facts, place = _opened(target, tracking_uri)
    if store is None:
        return []
    found = store.holdings(facts).evidence
    del place
    return [r for r in found if kind is None or getattr(r, "kind", "") == kind]


def load_assessment(target: str, *, tracking_uri: str | None = None) -> Assessment:
    """The assessment last attached to a run or to the run of a model version, verified.

    Raises:
        InputError: ``target`` names neither run nor model.
        EvidenceError: there is none, or it does not match its manifest.
    """
    store, facts, _ = _opened(target, tracking_uri)
    if store is None:
        raise EvidenceError("no run made this model, so it holds no assessment", where=target)
    return Assessment.model_validate_json(store.read(ASSESSMENT, facts))


def load_report(target: str, *, tracking_uri: str | None = None) -> bytes:
    """The HTML report last attached, verified; errors as ``load_assessment``."""
    store, facts, _ = _opened(target, tracking_uri)
    if store is None:
        raise EvidenceError("no run made this model, so it holds no report", where=target)
    return store.read(REPORT_HTML, facts)


def _opened(target: str, tracking_uri: str | None) -> tuple[RunStore | None, RunFacts, Place]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    place = resolve(client, target)
    if place.run_id is None:
        return None, RunFacts("", "", ""), place
    store = RunStore(client, place.run_id)
    return store, store.facts(), place
