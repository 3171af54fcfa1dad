"""Impact assessments as evidence, each bound to the content of the version it was made of."""

from __future__ import annotations

from collections.abc import Iterator

from aims_mlflow.checks.case import TYPED_RECORD
from aims_mlflow.evidence import AttestationRecord, DocumentRef, EvidenceBase, EvidenceStatus, ModelRef, Verdict
from aims_mlflow.management.impact import ImpactContent
from aims_mlflow.management.impact_state import ImpactState, state_of
from aims_mlflow.management.projection.view import View, attested, whence

_ASKS: dict[str, tuple[str, ...]] = {
    "impact_assessment": ("individuals", "groups", "society", "environment"),
    "individual_impact": ("individuals", "groups"),
    "societal_impact": ("society", "environment"),
}
"""Topic to whom an assessment has to speak of."""
_NOBODY = {"individual_impact": "individuals or groups", "societal_impact": "society or the environment"}


def impact(view: View) -> Iterator[EvidenceBase]:
    """What the assessments of a system's versions show, by topic.

    Of several made of the same content, one that found it not acceptable decides, else the one filed last. One that was
    made of other content is bound to that content, so that it counts for nothing here and the finding says so.
    """
    for state in deciding(view):
        yield from [_on(topic, state, view) for topic in _ASKS]


def deciding(view: View) -> list[ImpactState]:
    """The assessments that count, one for each content they were made of."""
    made_of: dict[str | None, ImpactState] = {}
    exact = view.model.sha256 if view.model else None
    for one in view.state.about("impact", view.system):
        state = state_of(one, view.state, view.catalog, model=view.model, evidence=view.evidence)
        key = state.content.model_sha256 if state.content else f"unreadable {state.id}"
        held = made_of.get(key)
        if held is None or _rank(state) > _rank(held):
            made_of[key] = state
    if exact in made_of and exact is not None:  # its own comes before what was made of another, or before it was there
        made_of = {key: state for key, state in made_of.items() if key == exact or _is_of_another(state)}
    return sorted(made_of.values(), key=_rank)


def _is_of_another(state: ImpactState) -> bool:
    """Whether it is bound to another version, which it does not reach beyond; what cannot be read may be of any."""
    if state.content is None:
        return True
    return state.content.model_sha256 is not None and any(t.code == "model version" for t in state.triggers)


def _rank(state: ImpactState) -> tuple[object, ...]:
    refused = state.content is not None and state.content.conclusion == "not acceptable"
    begun = state.filed.record.starts <= state.at
    return (begun, refused, state.filed.record.recorded_at, state.id)


def _on(topic: str, state: ImpactState, view: View) -> AttestationRecord:
    record, content = state.filed.record, state.content
    title = record.document.title if record.document else "AI system impact assessment"
    changes: dict[str, object] = {
        "parameters": {TYPED_RECORD: "impact", **whence(state.filed)},
        "document": DocumentRef(title=title, version=str(record.revision), sha256=record.digest),
    }
    if content is None:
        changes |= {"status": EvidenceStatus.ERROR, "verdict": Verdict.NOT_TESTED, "reason": f"{state.reason}."}
        return attested(view, state.filed, topic, statement="unreadable").model_copy(update=changes)
    silent = topic in _NOBODY and not any(effect.of in _ASKS[topic] for effect in content.effects)
    changes["valid_until"] = state.ends
    if content.conclusion == "not acceptable":
        changes |= {"verdict": Verdict.FAIL, "reason": f"{state.reason}."}
    elif state.wanting:
        changes |= {"verdict": Verdict.NOT_TESTED, "reason": f"{'; '.join(state.wanting)}."}
    elif silent:
        changes |= {"verdict": Verdict.NOT_TESTED, "reason": f"the assessment says nothing of {_NOBODY[topic]}."}
    elif state.triggers:
        changes["reason"] = f"{'; '.join(trigger.what for trigger in state.triggers)}."
    made = attested(view, state.filed, topic, statement=_sums_up(content), model=_subject(state, view))
    return made.model_copy(update=changes)


def _subject(state: ImpactState, view: View) -> ModelRef | None:
    """The version it was made of, or the one trained anew that it covers."""
    content = state.content
    if content is None or content.model_sha256 is None:
        return None
    if view.model is not None and not any(t.code == "model version" for t in state.triggers):
        return view.model
    return ModelRef(registered_name=content.registered_name, version=content.version, sha256=content.model_sha256)


def _sums_up(content: ImpactContent) -> str:
    harms = sum(effect.kind == "harm" for effect in content.effects)
    return (
        f"{content.conclusion}: {len(content.effects) - harms} benefits, {harms} harms,"
        f" {len(content.measured)} measured numbers."
    )
