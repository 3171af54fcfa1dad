"""The bill of materials of a version: CycloneDX 1.6 with a model card, by content, without a row of the data."""

from __future__ import annotations

import json
import uuid
from typing import Any

from aims_mlflow.documentation.bom.components import document
from aims_mlflow.documentation.bom.model_card import cards
from aims_mlflow.documentation.material import Judged, Material
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence.base import canonical_json

SPECIFICATION = "CycloneDX 1.6"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:aims-mlflow:ml-bom")


def ml_bom(material: Material) -> str:
    """The bill of materials of one version, as JSON.

    The same evidence gives the same text, whenever it is made: the time is that of the attached assessment, the serial
    number is made from the content. What is not known is a property ``aims:gap``.

    Args:
        material: All that is known of its system, with that one version.

    Raises:
        ValueError: ``material`` holds not exactly one version.
        EvidenceError: the version could not be assessed, or what came out is not valid by the library's schema.
    """
    if len(material.versions) != 1:
        msg = "a bill of materials is of one version"
        raise ValueError(msg)
    one = material.versions[0]
    if one.problem or one.assessment is None:
        raise EvidenceError(
            f"there is no bill of materials without evidence that can be read: {one.problem or 'it was not assessed'}",
            where=one.label,
            remedy=f"Put it right, then `aims assess {one.label}`.",
        )
    plain = _completed(document(material, one), material, one)
    plain.pop("serialNumber", None)
    plain["serialNumber"] = uuid.uuid5(_NAMESPACE, canonical_json(plain).decode("ascii", "backslashreplace")).urn
    text = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"
    problem = schema_problem(text)
    if problem:
        raise EvidenceError(f"the bill of materials does not fit {SPECIFICATION}: {problem[:300]}", where=one.label)
    return text


def schema_problem(text: str) -> str | None:
    """What the library's own validator finds first; None where it finds nothing, or is not installed."""
    from cyclonedx.exception import MissingOptionalDependencyException
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    try:
        found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except MissingOptionalDependencyException:
        return None
    return str(found) if found is not None else None


def _completed(plain: dict[str, Any], material: Material, one: Judged) -> dict[str, Any]:
    """The library's document with what it does not write yet: the model card, and what data components hold."""
    model, data = cards(material, one)
    plain["metadata"]["component"]["modelCard"] = model
    for component in plain.get("components", []):
        if component.get("bom-ref") in data:
            component["data"] = [data[component["bom-ref"]]]
    return plain


__all__ = ["SPECIFICATION", "ml_bom", "schema_problem"]
