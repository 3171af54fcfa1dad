"""Documents of what is on record: pivots, evidence requests, Annex IV, model card, bill of materials."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from aims_mlflow.api import log_evidence, resolve
from aims_mlflow.api.policies import Config
from aims_mlflow.documentation.annex_iv import annex_iv as annex_iv_of
from aims_mlflow.documentation.bom import SPECIFICATION, ml_bom
from aims_mlflow.documentation.card import model_card as card_of
from aims_mlflow.documentation.material import Material
from aims_mlflow.documentation.neighbours import Pivot, crosswalk_of, pivot
from aims_mlflow.documentation.paper import Paper
from aims_mlflow.documentation.requests import RequestList, requests
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import EvidenceBase, sha256_of
from aims_mlflow.management.inventory import Claims
from aims_mlflow.management.portfolio import SystemStanding
from aims_mlflow.management.state import Filed, State
from aims_mlflow.managing.gathering import gather, judge_organization, system_standing
from aims_mlflow.managing.portfolio import portfolio
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.report.documents import render_paper

RECORDABLE = ("technical_documentation", "user_information")
"""Topics a card can be filed under."""
ARTIFACT = "ml-bom"
"""Folder of the version's run that holds a logged bill of materials."""


def neighbours(
    records: ManagementRecords, framework: str, *, system: str | None = None, as_of: datetime | None = None
) -> Pivot:
    """The evidence of a system by the references of another framework.

    Args:
        records: The records in use.
        framework: Id of a crosswalk, e.g. ``eu_ai_act``.
        system: The system; the only one where None.
        as_of: The moment; now where None.

    Raises:
        InputError: there is no such crosswalk or system.
        DeliveryError: MLflow cannot be reached.
    """
    crosswalk_of(records.catalog, framework)
    state = records.state(as_of)
    return pivot(records.catalog, framework, system_standing(records, system, state), at=state.at)


def evidence_requests(
    records: ManagementRecords,
    frameworks: Sequence[str],
    *,
    system: str | None = None,
    as_of: datetime | None = None,
) -> RequestList:
    """One list of evidence requests for an audit against the register and others, duplicates merged.

    Args: as of ``neighbours``; ``frameworks`` are the crosswalks of the other audits.

    Raises:
        InputError: there is no such crosswalk or system.
        DeliveryError: MLflow cannot be reached.
    """
    others = [crosswalk_of(records.catalog, name) for name in dict.fromkeys(frameworks)]
    state = records.state(as_of)
    standing = system_standing(records, system, state)
    material = gather(records, standing, state, as_of=as_of)
    judged = material.versions or (judge_organization(records, standing, state),)
    return requests(
        records.catalog,
        others,
        judged,
        at=state.at,
        system=standing.system,
        subject=standing.name,
    )


def annex_iv(
    records: ManagementRecords,
    system: str | None = None,
    *,
    as_of: datetime | None = None,
    versions: Sequence[str] = (),
    parameters: bool = False,
) -> Paper:
    """The technical documentation of a system under Annex IV of the EU AI Act, every gap named in place.

    Args:
        records: The records in use.
        system: The system; the only one where None.
        as_of: The moment; now where None.
        versions: ``models:/name/version`` of the versions to document; those in service where there are none.
        parameters: Whether the values of the runs' parameters are to be told; else their names are.

    Raises:
        InputError: there is no such system or version, or a version is of another system.
        DeliveryError: MLflow cannot be reached.
    """
    state = records.state(as_of)
    standing = system_standing(records, system, state)
    for uri in versions:
        _check_claimed(records, uri, standing)
    return annex_iv_of(gather(records, standing, state, as_of=as_of, versions=versions, parameters=parameters))


def model_card(
    target: str,
    *,
    format: str = "md",  # noqa: A002  (the word of the command line)
    config: Config = None,
    tracking_uri: str | None = None,
    as_of: datetime | None = None,
    parameters: bool = False,
) -> str:
    """The model card of a registered version: intended use, limits, data, metrics with intervals, gaps named.

    Args:
        target: ``models:/name/version`` or ``models:/name@alias``.
        format: ``md``, ``html`` or ``json``.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        as_of: The moment; now where None.
        parameters: Whether the values of the run's parameters are to be told; else their names are.

    Raises:
        InputError: ``target`` names no registered version; another format.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    return render_paper(card(records, target, as_of=as_of, parameters=parameters)[0], format)


def card(
    records: ManagementRecords, target: str, *, as_of: datetime | None = None, parameters: bool = False
) -> tuple[Paper, str | None]:
    """The model card of a version, and the id of its system; arguments and errors as in ``model_card``."""
    material = material_of(records, target, as_of=as_of, parameters=parameters)
    return card_of(material), material.system


def file_card(
    records: ManagementRecords,
    paper: Paper,
    content: bytes,
    topics: Sequence[str],
    *,
    owner: str,
    approver: str | None = None,
    valid_until: Any = None,
    system: str | None = None,
    form: str = "html",
) -> list[Filed]:
    """File a card as the document of records: what it says is then somebody's word.

    Args:
        records: The records in use.
        paper: The card.
        content: Its bytes, as it was rendered.
        topics: ``technical_documentation``, ``user_information`` or both.
        owner: Who answers for it.
        approver: Who approved it.
        valid_until: Last day, a date.
        system: The system it is about.
        form: Suffix of the file.

    Raises:
        InputError: another topic, no owner, or a date that is past.
        DeliveryError: MLflow cannot be reached.
    """
    unknown = [topic for topic in topics if topic not in RECORDABLE]
    if unknown:
        raise InputError(f"a card is no document on {unknown[0]!r}", remedy=f"Use {' or '.join(RECORDABLE)}.")
    said = f"{paper.title} of {paper.subject} as of {paper.at:%Y-%m-%d}, {sha256_of(content)}. {paper.in_short}."
    with tempfile.TemporaryDirectory(prefix="aims-card-") as folder:
        path = Path(folder) / f"model-card.{form}"
        path.write_bytes(content)
        return [
            records.file(
                topic,
                {"statement": said},
                owner=owner,
                approver=approver,
                valid_until=valid_until,
                systems=(system,) if system else (),
                document=path,
                document_title=f"{paper.title}: {paper.subject}",
            )
            for topic in topics
        ]


def bill_of_materials(
    records: ManagementRecords, target: str, *, as_of: datetime | None = None, parameters: bool = False
) -> str:
    """The bill of materials of a version, CycloneDX 1.6 as JSON.

    Args: as of ``model_card``.

    Raises:
        InputError: ``target`` names no registered version.
        EvidenceError: its evidence cannot be read.
        DeliveryError: MLflow cannot be reached.
    """
    return ml_bom(material_of(records, target, as_of=as_of, parameters=parameters))


def log_bill_of_materials(records: ManagementRecords, target: str, text: str) -> EvidenceBase:
    """Keep a bill of materials with the version's run, and log it as evidence of kind ``components`` (A.10.3).

    Args:
        records: The records in use.
        target: ``models:/name/version`` or ``models:/name@alias``.
        text: What ``bill_of_materials`` gave.

    Raises:
        InputError: no run made the version.
    """
    place = resolve(records.client, target)
    if place.run_id is None or place.version is None:
        raise InputError(
            f"no run made {target}, so there is nowhere to log it", remedy="Keep the file with the version."
        )
    name = f"{place.version.name}-{place.version.version}.cdx.json".replace("/", "_")
    records.client.log_text(place.run_id, text, f"{ARTIFACT}/{name}")
    plain = json.loads(text)
    kinds = [part["type"] for part in plain.get("components", [])]
    gaps = gaps_of(plain)
    content = {
        "id": f"{place.version.name}/{place.version.version}",
        "format": SPECIFICATION,
        "serial_number": plain["serialNumber"],
        "sha256": sha256_of(text.encode("ascii")),
        "artifact": f"{ARTIFACT}/{name}",
        "data_sets": kinds.count("data"),
        "libraries": kinds.count("library"),
        "gaps": gaps,
    }
    return log_evidence(
        "components",
        content,
        reason=f"Bill of materials with {kinds.count('data')} data sets and {kinds.count('library')} packages; "
        f"{len(gaps)} gaps named in it.",
        method=f"{SPECIFICATION}, made from the evidence of the version.",
        numbers={"data_sets": kinds.count("data"), "libraries": kinds.count("library"), "gaps": len(gaps)},
        run_id=place.run_id,
        config=records.settings,
    )


def gaps_of(plain: dict[str, Any]) -> list[str]:
    """What a bill of materials says is not known."""
    root = plain["metadata"]["component"]
    listed = [root, root.get("modelCard", {}), *plain.get("components", [])]
    return [
        f"{part.get('name', 'model card')}: {one['value']}"
        for part in listed
        for one in part.get("properties", [])
        if one["name"] == "aims:gap"
    ]


def material_of(
    records: ManagementRecords, target: str, *, as_of: datetime | None = None, parameters: bool = False
) -> Material:
    """All that is known of one version and of the system it belongs to.

    Raises:
        InputError: ``target`` names no registered version.
        DeliveryError: MLflow cannot be reached.
    """
    place = resolve(records.client, target)
    if place.version is None:
        raise InputError(
            f"{target!r} names no registered version", remedy="Give models:/NAME/VERSION or models:/NAME@ALIAS."
        )
    state: State = records.state(as_of)
    name = str(place.version.name)
    found = [one for one in portfolio(records, state).systems if name in one.models]
    standing = found[0] if len(found) == 1 else _nobody(records, name)
    uri = f"models:/{name}/{place.version.version}"
    return gather(records, standing, state, as_of=as_of, versions=[uri], parameters=parameters)


def _nobody(records: ManagementRecords, model: str) -> SystemStanding:
    """A model of no declared system, or of several: nothing is said about its system but what its run declared."""
    from aims_mlflow.config.sections import RiskClass

    own = records.settings.declaration
    claimed = own.system.id if Claims([("own", own.registered_models)]).on(model) else None
    return SystemStanding(claimed, own.system.name or model, RiskClass.UNCLASSIFIED, models=(model,))


def _check_claimed(records: ManagementRecords, uri: str, standing: SystemStanding) -> None:
    place = resolve(records.client, uri)
    name = str(place.version.name) if place.version is not None else ""
    if place.version is None or (standing.system is not None and name not in standing.models):
        raise InputError(
            f"{uri} is no version of a model of {standing.system}",
            where="version",
            remedy=f"Its models are: {', '.join(standing.models[:20]) or 'none'}.",
        )
