"""How a version stands before the gate now, and the signposts that say so."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from aims_mlflow.api import assessing, load_assessment, resolve
from aims_mlflow.api.policies import Config
from aims_mlflow.assessment import Assessment
from aims_mlflow.attach.store import check_reachable
from aims_mlflow.config import load_settings
from aims_mlflow.delivery import describe_version
from aims_mlflow.errors import AimsError, EvidenceError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.gate.entries import Entry, Level
from aims_mlflow.gate.history import history
from aims_mlflow.gate.messages import GATE_TAG, gate_tag
from aims_mlflow.gate.outcome import VersionFacts
from aims_mlflow.gate.policy import guarded_targets
from aims_mlflow.gate.standing import Standing, holds_in_force, reviews_in_force
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.probing import is_gated

_log = logging.getLogger("aims_mlflow")


def assess(
    target: str,
    *,
    config: Config = None,
    tracking_uri: str | None = None,
    attach: bool = True,
    at: datetime | None = None,
) -> Assessment:
    """Judge a run or model version against every clause and control of the register.

    The evidence is read from the run and verified; what MLflow itself shows (run, model files, lineage, declaration) is
    captured if it is not on record yet. A model's files are hashed again, so evidence about other files does not count.

    Args:
        target: Run id, ``runs:/id``, ``models:/name/version``, ``models:/name@alias`` or ``models:/m-id``.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None. Where none is found,
            the run is judged by the declaration it was captured with; without that a warning says so.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        attach: True writes assessment, reports and tags to the run and version; False only returns the findings.
        at: The moment to judge for; now where None. Nothing is attached then. What is past is judged by what was known
            then, an alias by where it pointed then; for what is to come, by what is known now.

    Returns:
        The assessment, one finding for each row.

    Raises:
        InputError: ``target`` names neither run nor model.
        ConfigError: ``aims.yaml`` is wrong, or is not here and names frameworks of its own.
        EvidenceError: with ``attach=False``, evidence that does not match its manifest.
        DeliveryError: it could not be written; the evidence is in the spool.
    """
    log: tuple[Entry, ...] = ()
    is_past = at is not None and at.tzinfo is not None and at < now()
    if is_past and at is not None and "@" in target:
        target = _target_then(target, tracking_uri, at)
    gated = attach and load_settings(config).declaration.gate is not None
    if target.startswith("models:/") and (is_past or gated):
        log = _log_of(target, tracking_uri)
    return assessing.assess(target, config=config, tracking_uri=tracking_uri, attach=attach, at=at, log=log)


def _target_then(target: str, tracking_uri: str | None, at: datetime) -> str:
    """The version an alias pointed to at a moment.

    Raises:
        InputError: the log does not say.
    """
    from mlflow import MlflowClient

    name, _, alias = target.removeprefix("models:/").partition("@")
    log = TransitionLog(MlflowClient(tracking_uri=tracking_uri)).read(name, fresh=True)
    serving = history(log, model=name, at=at).current if log else ()
    found = [s.version for s in serving if s.target.kind == "alias" and s.target.name == alias]
    if not found:
        raise InputError(
            f"the log does not say where the alias {alias!r} of {name!r} pointed at {at:%Y-%m-%d %H:%M} UTC",
            remedy=f"Name the version: models:/{name}/VERSION; 'aims history {name}' says what is known.",
        )
    return f"models:/{name}/{found[0]}"


def _log_of(target: str, tracking_uri: str | None) -> tuple[Entry, ...]:
    """What was said and done of the model; nothing, and a warning, where the log cannot be read."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    place = resolve(client, target)
    if place.version is None:
        return ()
    try:
        return TransitionLog(client).read(place.version.name, fresh=True)
    except AimsError as error:
        _log.warning("aims: the report shows no approvals: %s", error.message)
        return ()


def standing_now(
    target: str, *, config: Config = None, tracking_uri: str | None = None, at: datetime | None = None
) -> Standing | None:
    """How a registered version stands now; None for what is no registered version, and without a policy.

    Args:
        target: As of ``assess``.
        config: The policy; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        at: The moment to decide for; now where None.
    """
    from mlflow import MlflowClient

    settings = load_settings(config)
    if settings.declaration.gate is None or not target.startswith("models:/"):
        return None
    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    place = resolve(client, target)
    if place.version is None:
        return None
    keeper = Gatekeeper(client, client, settings, Level.ADVISED)
    return _standing(keeper, place.version.name, str(place.version.version), at or now())


def _standing(keeper: Gatekeeper, model: str, version: str, at: datetime) -> Standing:
    declaration = keeper.policies.current().declaration
    decisions = tuple(keeper.decide(model, version, t, at) for t in guarded_targets(declaration, model))
    content = keeper.content(model, version)
    try:
        entries = keeper.log.read(model)
    except AimsError:  # each decision says so
        entries = ()
    facts = VersionFacts(model=model, version=version, model_sha256=content)
    holds = holds_in_force(entries, declaration, at, gate_keys=keeper.gate_keys, facts=facts)
    return Standing(decisions=decisions, reviews=reviews_in_force(entries, content, at), holds=holds)


def refresh(client: Any, model: str, version: str, *, config: Config = None) -> None:
    """Bring the tag ``aims.gate`` and the description of a version up to date; what cannot be written costs a warning.

    A registry with a gate of its own writes its own decisions into the tag, whatever it is sent; without a policy here
    that is all that can be done.
    """
    try:
        settings = load_settings(config)
        if settings.declaration.gate is None:
            if is_gated(client, model):
                client.set_model_version_tag(model, version, GATE_TAG, gate_tag(()))
            return
        standing = _standing(Gatekeeper(client, client, settings, Level.ADVISED), model, version, now())
        row = client.get_model_version(model, version)
        text = gate_tag(standing.decisions)
        if (row.tags or {}).get(GATE_TAG) != text:
            client.set_model_version_tag(model, version, GATE_TAG, text)
        try:
            assessment = load_assessment(f"models:/{model}/{version}", tracking_uri=client.tracking_uri)
        except EvidenceError:  # not assessed, or not any more: its description says what it said
            return
        describe_version(client, row, assessment, standing)
    except Exception as error:  # noqa: BLE001  (what was said or done stands in the log, signposts or not)
        _log.warning("aims: tags of %s %s were not brought up to date (%s)", model, version, type(error).__name__)
        _log.debug("aims: cause", exc_info=True)
