"""Sections 1 and 2: what the system is, and how it was developed."""

from __future__ import annotations

from aims_mlflow.documentation.fillers.blocks import (
    Filler,
    Found,
    Lack,
    by_version,
    custom_blocks,
    dataset_blocks,
    facts,
    group_tables,
    metric_tables,
    quality_tables,
    run_blocks,
    software_blocks,
    software_of,
    stated,
    table,
)
from aims_mlflow.documentation.material import Judged, Material, cited, short
from aims_mlflow.documentation.paper import Text
from aims_mlflow.evidence import LineageRecord, ModelRecord
from aims_mlflow.management.projection.view import is_projected
from aims_mlflow.management.reports import ReportedFacts

_TESTED = frozenset({"validation", "test"})


def purpose(material: Material) -> list[Found]:
    """Purpose and intended use."""
    made: list[Found] = []
    for name in ("purpose", "intended_use"):
        value, source = material.said(name)
        if value:
            made.append(Text(text=f"{name.replace('_', ' ').capitalize()}: {value}", source=source))
        else:
            made.append(Lack(f"the {name.replace('_', ' ')}"))
    return made if any(not isinstance(one, Lack) for one in made) else []


def provider(material: Material) -> list[Found]:
    """The organization's role and who answers for the system."""
    role, source = material.said("organization_role")
    if not role or str(role) == "undeclared":
        return []
    pairs = [("Role of the organization", str(role).replace("_", " ")), ("Answers for the system", material.owner)]
    made: list[Found] = [*facts(pairs, source)]
    if material.owner is None:
        made.append(Lack("who answers for the system", how="Declare system.owner in aims.yaml."))
    return made


def versions(material: Material) -> list[Found]:
    """The versions documented, and the chain from data to model."""

    def make(one: Judged) -> list[Found]:
        record = one.first("model", ModelRecord)
        digest = record.subject.model.sha256 if record is not None and record.subject.model else None
        made: list[Found] = []
        made += facts(
            [
                ("Version", one.label),
                ("Serves as", ", ".join(one.targets) or "not in service"),
                ("Registered", f"{one.registered_at:%Y-%m-%d}" if one.registered_at else None),
                ("SHA-256 over its files", digest),
            ],
            cited(record) if record is not None else "MLflow's model registry",
        )
        if digest is None:
            made.append(Lack(f"the digest of {one.label}'s files", how=f"Assess it: `aims assess {one.label}`."))
        lineage = one.first("lineage", LineageRecord)
        if lineage is not None and lineage.edges:
            rows = [(edge.source, edge.relation.replace("_", " "), edge.target) for edge in lineage.edges]
            made.append(table(f"{one.label}: from data to model", ("From", "Relation", "To"), rows, cited(lineage)))
        return made

    made = by_version(material, make, "the version")
    served = [s for history in material.histories for s in history.servings]
    if served:
        counted = [(h.model, len({s.version for s in h.servings})) for h in material.histories if h.servings]
        names = ", ".join(f"{model} ({count})" for model, count in counted)
        said = f"Versions that served so far, by model: {names}; the transition log lists them."
        made.append(Text(text=said, source="transition log"))
    return made


def interaction(material: Material) -> list[Found]:
    """Deployments, as far as they tell."""
    return by_version(material, lambda one: custom_blocks(one, "deployment"), "the deployment")


def software(material: Material) -> list[Found]:
    """Software with versions."""
    return by_version(material, software_blocks, "the software")


def forms(material: Material) -> list[Found]:
    """Flavours of the model and deployments."""

    def make(one: Judged) -> list[Found]:
        made = custom_blocks(one, "deployment")
        record = one.first("model", ModelRecord)
        if record is not None and record.flavors:
            said = f"{one.label} is supplied as an MLflow model with the flavours {', '.join(record.flavors)}."
            made = [Text(text=said, source=cited(record)), *made]
        return made

    return by_version(material, make, "the form of supply")


def computing(material: Material) -> list[Found]:
    """What is stated about computing."""
    return stated(material, "computing_resources")


def instructions(material: Material) -> list[Found]:
    """Information for users."""
    made = stated(material, "user_information")
    if made and not any(one.record.document for one in material.nearest("user_information")):
        made.append(Lack("the document: the record on user_information names none"))
    return made


def training(material: Material) -> list[Found]:
    """The training run of each version."""
    return by_version(material, run_blocks, "the training run")


def third_party(material: Material) -> list[Found]:
    """What others supplied: the bill of materials, else how much the environment lists."""

    def make(one: Judged) -> list[Found]:
        listed = custom_blocks(one, "components")
        if listed:
            return listed
        record = software_of(one)
        if record is None:
            return []
        said = f"{one.label} rests on {len(record.packages)} packages of others; Annex IV(1)(c) lists them."
        return [
            Text(text=said, source=cited(record)),
            Lack(f"pre-trained models and data of others in {one.label}", answerable=True),
        ]

    return by_version(material, make, "what others supplied")


def development_process(material: Material) -> list[Found]:
    """The process of development."""
    return stated(material, "development_process")


def design_decisions(material: Material) -> list[Found]:
    """Design decisions."""
    return stated(material, "design_decisions")


def requirements(material: Material) -> list[Found]:
    """Requirements on the system."""
    return stated(material, "system_requirements")


def architecture(material: Material) -> list[Found]:
    """Flavours, files and interface of the model."""

    def make(one: Judged) -> list[Found]:
        record = one.first("model", ModelRecord)
        if record is None:
            return []
        made: list[Found] = []
        made += facts(
            [
                ("Version", one.label),
                ("Flavours", ", ".join(record.flavors)),
                ("Input columns or tensors", record.signature_inputs),
                ("Outputs", record.signature_outputs),
                ("Files", f"{len(record.files)}, {sum(f.bytes for f in record.files):,} bytes"),
            ],
            cited(record),
        )
        return made

    return by_version(material, make, "the architecture")


def computing_used(material: Material) -> list[Found]:
    """Computing that was used."""
    made = by_version(material, lambda one: custom_blocks(one, "compute_usage"), "the computing used")
    return [*made, *stated(material, "computing_resources")]


def datasets(material: Material) -> list[Found]:
    """Data sets with their data sheets."""
    return by_version(material, lambda one: dataset_blocks(one), "the data sets")


def quality(material: Material) -> list[Found]:
    """Data quality."""
    return by_version(material, lambda one: quality_tables(material, one), "checks of the data")


def oversight(material: Material) -> list[Found]:
    """Human oversight."""
    value, source = material.said("human_oversight")
    return [Text(text=str(value), source=source)] if value else []


def planned_changes(material: Material) -> list[Found]:
    """The gate every change of what serves goes through."""
    gate = material.declaration.gate
    if gate is None:
        return []
    return [
        Text(
            text="Changes of the version that serves go through the release gate declared in aims.yaml; "
            "its decisions are in section 6.",
            source="aims.yaml, gate",
        ),
        Lack("changes of the system or its performance that were determined in advance", answerable=True),
    ]


def test_data(material: Material) -> list[Found]:
    """Data used to validate and test."""
    make = lambda one: dataset_blocks(one, roles=_TESTED)  # noqa: E731
    return by_version(material, make, "the validation and test data")


def performance(material: Material) -> list[Found]:
    """Accuracy."""
    return by_version(material, lambda one: metric_tables(material, one), "measured accuracy")


def robustness(material: Material) -> list[Found]:
    """Robustness."""
    return by_version(material, lambda one: custom_blocks(one, "robustness"), "measured robustness")


def fairness(material: Material) -> list[Found]:
    """Differences between groups."""
    return by_version(material, lambda one: group_tables(material, one), "measured differences between groups")


def test_reports(material: Material) -> list[Found]:
    """The assessment with its digest, and who approved the version."""
    reviews = [r for h in material.histories for r in h.reviews if not (r.withdrawn or r.lapsed)]

    def make(one: Judged) -> list[Found]:
        if one.assessment is None:
            return []
        made: list[Found] = []
        measured = [r for r in one.evidence if not is_projected(r)]
        made += facts(
            [
                ("Version", one.label),
                ("Assessed", f"{one.assessment.assessed_at:%Y-%m-%d %H:%M} UTC"),
                ("Finding", f"{one.assessment.overall}: {one.assessment.headline}"),
                ("Records it rests on", len(measured)),
                ("Register", short(one.assessment.catalog_sha256)),
            ],
            f"assessment of {one.label}",
        )
        own = [r for r in reviews if r.version == one.version and r.decision in ("approve", "reject")]
        if own:
            rows = [(r.decision, r.person, r.role or "", r.identity, f"{r.at:%Y-%m-%d}", r.reason or "") for r in own]
            head = ("Decision", "Person", "Role", "Identity", "Date", "Reason")
            made.append(table(f"{one.label}: reviews in force", head, rows, "transition log"))
        if not any(r.identity == "signed" for r in own):
            how = f"`aims approve {one.label} --person NAME` with a key of one's own (`aims keygen`)."
            made.append(Lack(f"a signed approval of {one.label}", how=how))
        return made

    return by_version(material, make, "a test report")


def security(material: Material) -> list[Found]:
    """Who may read and change runs, models and records."""
    made: list[Found] = []
    for one in material.nearest("access_list"):
        content = material.content(one, ReportedFacts)
        if content is not None:
            made.append(Text(text=f"Access: {content.statement}", source=f"record {one.record.link}"))
    if made:
        made.append(Lack("measures of cybersecurity beyond who may change runs and models", answerable=True))
    return made


FILLERS: dict[str, Filler] = {
    "purpose": purpose,
    "provider": provider,
    "versions": versions,
    "interaction": interaction,
    "software": software,
    "forms": forms,
    "computing": computing,
    "instructions": instructions,
    "training": training,
    "third_party": third_party,
    "development_process": development_process,
    "design_decisions": design_decisions,
    "requirements": requirements,
    "architecture": architecture,
    "computing_used": computing_used,
    "datasets": datasets,
    "quality": quality,
    "oversight": oversight,
    "planned_changes": planned_changes,
    "test_data": test_data,
    "performance": performance,
    "robustness": robustness,
    "fairness": fairness,
    "test_reports": test_reports,
    "security": security,
}
