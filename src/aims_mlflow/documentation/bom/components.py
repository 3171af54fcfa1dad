"""What a version is made of, by CycloneDX's library: the model, its files, data sets, packages, Python."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aims_mlflow.documentation.fillers.blocks import software_of
from aims_mlflow.documentation.material import Judged, Material
from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import DatasetRecord, DatasetRef, ModelRecord, RunRecord

if TYPE_CHECKING:
    from cyclonedx.model import HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import DisjunctiveLicense

_LONGEST = 1_000
"""Characters of a name or version."""


def document(material: Material, one: Judged) -> dict[str, Any]:
    """The bill of materials as the library writes it, without a serial number of its own."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    root = _model(material, one)
    parts = [*_datasets(one), *_software(one)]
    bom = Bom(components=parts)
    bom.metadata.timestamp = one.settled_at or material.at
    bom.metadata.component = root
    bom.metadata.tools.components.add(
        Component(type=ComponentType.APPLICATION, name=COLLECTOR.name, version=COLLECTOR.version)
    )
    _depend(bom, root, parts)
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    plain: dict[str, Any] = json.loads(outputter.output_as_string())
    return plain


def _depend(bom: Bom, root: Component, parts: Iterable[Component]) -> None:
    bom.register_dependency(root, list(parts))


def dataset_refs(one: Judged) -> list[tuple[str, DatasetRecord | None, DatasetRef]]:
    """The data sets of a version: bom-ref, the record where there is one, and the reference."""
    records = one.of("dataset", DatasetRecord)
    found: list[tuple[DatasetRecord | None, DatasetRef]] = [(record, record.dataset) for record in records]
    named = {(ref.name, ref.sha256) for _, ref in found}
    run = one.first("run", RunRecord)
    for ref in run.subject.datasets if run else ():
        if (ref.name, ref.sha256) not in named and (ref.sha256 or ref.name):
            named.add((ref.name, ref.sha256))
            found.append((None, ref))
    return [(f"dataset-{place}", record, ref) for place, (record, ref) in enumerate(found, start=1)]


def _model(material: Material, one: Judged) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    record = one.first("model", ModelRecord)
    digest = record.subject.model.sha256 if record is not None and record.subject.model else None
    files = [
        Component(
            type=ComponentType.FILE,
            name=_cut(file.path),
            bom_ref=f"file-{place}",
            hashes=_hashes(file.sha256),
            properties=_properties([("aims:bytes", str(file.bytes))]),
        )
        for place, file in enumerate(record.files if record else (), start=1)
    ]
    said: list[tuple[str, str]] = [
        ("aims:system", material.system or ""),
        ("aims:run", one.run_id or ""),
        ("aims:serves_as", ", ".join(one.targets)),
        ("aims:flavors", ", ".join(record.flavors) if record else ""),
        ("aims:hash", "SHA-256 over the list of path and SHA-256 of every file" if digest else ""),
        *(("aims:gap", gap) for gap in _gaps(one, digest)),
    ]
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=_cut(one.name or material.name),
        version=_cut(str(one.version or "")) or None,
        bom_ref="model",
        hashes=_hashes(digest),
        description=_cut(str(material.said("purpose")[0] or "")) or None,
        components=files,
        properties=_properties(said),
    )


def _gaps(one: Judged, digest: str | None) -> list[str]:
    lacking = []
    if digest is None:
        lacking.append("no digest of the model's files is on record")
    if not dataset_refs(one):
        lacking.append("no data set it was made from is on record")
    software = software_of(one)
    if software is None:
        lacking.append("no software it needs is on record")
    elif software.unpinned:
        lacking.append(f"packages without an exact version: {', '.join(software.unpinned[:20])}")
    return lacking


def _datasets(one: Judged) -> list[Component]:
    from cyclonedx.model.component import Component, ComponentType

    made = []
    for bom_ref, record, ref in dataset_refs(one):
        sheet = one.declaration.datasets.get(record.declared_as or "") if record else None
        licences = [_licence(_cut(sheet.licence))] if sheet and sheet.licence else []
        said = [
            ("aims:role", ref.role or ""),
            ("aims:rows", str(ref.rows) if ref.rows is not None else ""),
            ("aims:columns", str(ref.columns) if ref.columns is not None else ""),
            ("aims:mlflow_digest", ref.mlflow_digest or ""),
            ("aims:hash", "SHA-256 over every value, column name and type" if ref.sha256 else ""),
            ("aims:gap", "" if ref.sha256 else "no digest of the full content is on record"),
            ("aims:gap", "" if sheet else "no data sheet describes it"),
        ]
        made.append(
            Component(
                type=ComponentType.DATA,
                name=_cut(ref.name or "a data set without a name"),
                bom_ref=bom_ref,
                hashes=_hashes(ref.sha256),
                licenses=licences,
                properties=_properties(said),
            )
        )
    return made


def _licence(text: str) -> DisjunctiveLicense:
    """By its SPDX id where the text is one, else by name."""
    from cyclonedx.model.license import DisjunctiveLicense
    from cyclonedx.spdx import fixup_id

    known = fixup_id(text)
    return DisjunctiveLicense(id=known) if known else DisjunctiveLicense(name=text)


def _software(one: Judged) -> list[Component]:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    record = software_of(one)
    if record is None:
        return []
    python = Component(
        type=ComponentType.PLATFORM,
        name="python",
        version=_cut(record.python),
        bom_ref="platform-python",
        purl=PackageURL(type="generic", name="python", version=_cut(record.python) or None),
    )
    made = [python]
    for place, (name, version) in enumerate(sorted(record.packages.items()), start=1):
        if not name.strip():
            continue
        purl = PackageURL(type="pypi", name=_cut(name), version=_cut(version) or None)
        made.append(
            Component(
                type=ComponentType.LIBRARY,
                name=_cut(name),
                version=_cut(version) or None,
                bom_ref=f"library-{place}",
                purl=purl,
                properties=_properties([("aims:gap", "" if version else "no exact version is on record")]),
            )
        )
    return made


def _hashes(digest: str | None) -> list[HashType]:
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))] if digest else []


def _properties(named: Iterable[tuple[str, str]]) -> list[Property]:
    from cyclonedx.model import Property

    return [Property(name=name, value=value) for name, value in named if value]


def _cut(text: str) -> str:
    """Short enough for a name, and text that can be encoded: half a surrogate pair becomes a visible escape."""
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode()
