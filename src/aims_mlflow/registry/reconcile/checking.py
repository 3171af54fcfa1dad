"""Whether a version still is what its assessment is about, and whether its tags say so. Reads, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aims_mlflow.attach.store import RunStore
from aims_mlflow.attach.tags import RUN_TAGS
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.gate.decision import VersionFacts
from aims_mlflow.gate.messages import GATE_TAG
from aims_mlflow.gate.statement import TAG, Held, read_statement
from aims_mlflow.registry import marks


def changes(facts: VersionFacts) -> list[str]:
    """What differs between the version and its assessment, each in a few words; empty where it has none."""
    if facts.held is None:
        return []
    said, found = facts.held.statement, []
    if facts.source != said.source:
        found.append("the assessment is about other files")
    elif facts.model_sha256 is not None:
        if facts.model_sha256 != said.model_sha256:
            found.append("the model's files changed since they were assessed")
    elif facts.listing_sha256 != said.listing_sha256:
        found.append("the model's files changed since they were assessed")
    if facts.evidence_sha256 != said.evidence_sha256:
        found.append("its run's evidence changed since")
    if facts.inputs_sha256 != said.inputs_sha256:
        found.append("its run's datasets changed since")
    return found


def hidden_changes(client: Any, facts: VersionFacts, place: str | None) -> list[str]:
    """What only shows when everything is read.

    These are evidence files behind a manifest that is unchanged, and the content of model files that were only listed.

    Args:
        client: ``MlflowClient``.
        facts: The version.
        place: Where its files are; None: only the evidence is read.
    """
    if facts.held is None:
        return []
    found = []
    if facts.run_id is not None:
        try:
            store = RunStore(client, facts.run_id)
            store.holdings(store.facts())
        except EvidenceError as error:
            found.append(f"its run's evidence is not what its manifest says: {error.message}")
    if place is not None and facts.model_sha256 is None:
        from aims_mlflow.api.targets import read_model

        read = read_model(client, place)
        if read is None or read.sha256 != facts.held.statement.model_sha256:
            found.append("the model's files changed since they were assessed")
    return found


def contradictions(tags: Mapping[str, str], trusted: Mapping[str, str]) -> list[str]:
    """Tags of ours that say other than the assessment beside them, or are none we write.

    A status that says less than the assessment (``stale``, ``not-assessed``, ``error``) contradicts nothing.
    """
    held, found = None, []
    if TAG in tags:
        try:
            held = read_statement(tags[TAG], trusted)
        except EvidenceError:
            return [f"the tag {TAG} holds no assessment that can be read"]
    for key in sorted(key for key in tags if marks.is_reserved(key)):
        try:
            marks.check_name(key, marks.VERSION_TAGS)
            if key in RUN_TAGS:
                marks.check_flat(key, tags[key], held)
            elif key == GATE_TAG and not _is_about(tags[key], held):
                found.append(f"{key} is about another assessment")
        except InputError as error:
            found.append(error.message)
    return found


def _is_about(text: str, held: Held | None) -> bool:
    try:
        digest = json.loads(text).get("digest")
    except (ValueError, AttributeError, RecursionError):
        return False
    return held is not None and bool(digest) and held.statement.digest.removeprefix("sha256:").startswith(str(digest))
