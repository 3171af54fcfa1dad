"""The model card: what a version is for, what it was measured to do and for whom, every gap named in place."""

from __future__ import annotations

from aims_mlflow.documentation.annex_iv import problems_of, version_words
from aims_mlflow.documentation.material import Material
from aims_mlflow.documentation.outline import filled, outline
from aims_mlflow.documentation.paper import Fact, Paper
from aims_mlflow.evidence import ModelRecord

_WHAT_IT_IS = (
    "Made from evidence and declarations on record: numbers are as measured or logged, statements are a person's word. "
    "It serves system documentation (A.6.2.7) and information for users (A.8.2) once somebody answers for it."
)


def model_card(material: Material) -> Paper:
    """The card of one version.

    Args:
        material: All that is known of its system, with that one version.

    Raises:
        ValueError: ``material`` holds not exactly one version.
    """
    if len(material.versions) != 1:
        msg = "a card is of one version"
        raise ValueError(msg)
    one = material.versions[0]
    structure = outline("model_card")
    record = one.first("model", ModelRecord)
    digest = record.subject.model.sha256 if record is not None and record.subject.model else None
    assessment = one.assessment
    facts = [
        ("Version", version_words(one)),
        ("SHA-256 over its files", digest or "not on record"),
        ("AI system", f"{material.name} ({material.system})" if material.system else material.name),
        ("Answers for it", material.owner or "nobody is named"),
        ("Training run", one.run_id or "none"),
        ("Assessed", f"{assessment.overall}: {assessment.headline}" if assessment else "could not be assessed"),
    ]
    return Paper(
        id=structure.id,
        title=structure.title,
        subject=f"{one.name} version {one.version}" if one.name else one.label,
        at=material.at,
        notes=(_WHAT_IT_IS, *problems_of(material)),
        facts=tuple(Fact(name=name, value=value) for name, value in facts),
        sections=filled(structure, material),
    )
