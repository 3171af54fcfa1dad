"""Technical documentation under Annex IV of the EU AI Act, filled from what is on record, every gap named in place."""

from __future__ import annotations

from aims_mlflow.documentation.law import law_dates
from aims_mlflow.documentation.material import Judged, Material
from aims_mlflow.documentation.outline import filled, outline
from aims_mlflow.documentation.paper import Fact, Paper

NO_PRESUMPTION = (
    "ISO/IEC 42001 gives no presumption of conformity with the EU AI Act: it is no harmonised standard under it. "
    "This page lists what is on record; it is no legal advice and no declaration of conformity."
)


def annex_iv(material: Material) -> Paper:
    """The technical documentation of a system, see ``outline.filled``. The same material gives the same paper.

    Args:
        material: All that is known of the system, with the versions to document.
    """
    structure = outline("annex_iv")
    law = law_dates().on(material.at.date())
    risk_class, source = material.said("risk_class")
    said = str(risk_class) if risk_class else "unclassified"
    facts = [
        ("System", material.name),
        ("Id", material.system or "none"),
        ("Risk class", f"{said} ({source})" if source else said),
        ("Answers for it", material.owner or "nobody is named"),
        ("Versions documented", ", ".join(map(version_words, material.versions)) or "none"),
        ("Law", f"{law.title}, amended by {law.amended_by}"),
        ("Structure", f"{structure.source}; read {structure.read}"),
    ]
    return Paper(
        id=structure.id,
        title=structure.title,
        subject=material.name,
        at=material.at,
        notes=(NO_PRESUMPTION, law.high_risk_words, f"{law.checked_words} {law.note}", *problems_of(material)),
        facts=tuple(Fact(name=name, value=value) for name, value in facts),
        sections=filled(structure, material),
    )


def version_words(one: Judged) -> str:
    """A version with what points to it."""
    return f"{one.label} ({', '.join(one.targets) or 'not in service'})"


def problems_of(material: Material) -> list[str]:
    """Versions whose evidence could not be used."""
    return [f"{one.label}: {one.problem}. Nothing of it is used." for one in material.versions if one.problem]
