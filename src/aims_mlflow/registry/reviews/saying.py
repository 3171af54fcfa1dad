"""Approve, reject, waive, break glass, withdraw: through the registry's gate where there is one, else into the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aims_mlflow.api.policies import Config
from aims_mlflow.config import Settings, load_settings
from aims_mlflow.errors import AimsError, ConfigError, EvidenceError, InputError
from aims_mlflow.gate.entries import Entry, ReviewEntry, write_entry
from aims_mlflow.gate.signing import own_key
from aims_mlflow.registry.facts import VersionReader
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.marks import REVIEW_TAG
from aims_mlflow.registry.moving import version_of
from aims_mlflow.registry.probing import is_gated
from aims_mlflow.registry.reviews.allowed import check_controls, role_of, unguarded, without_role
from aims_mlflow.registry.reviews.drafts import Decision, Until, content_of, draft_of, is_same, said_by, texts, write_to
from aims_mlflow.registry.standing import refresh

_log = logging.getLogger("aims_mlflow")


def approve(
    model: str,
    version: str | int | None = None,
    *,
    person: str,
    role: str | None = None,
    reason: str | None = None,
    targets: str | Iterable[str] = (),
    valid_until: Until | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> ReviewEntry:
    """Approve a version.

    Args:
        model: Name of the registered model, or ``models:/name/version``, ``models:/name@alias``.
        version: Its number, where ``model`` is a name.
        person: Who approves.
        role: In what role; None: the only one the policy gives the person, where it gives one.
        reason: Why, for the record.
        targets: Aliases, stages or models it is for; empty: all.
        valid_until: When it ends; None: the policy says.
        config: ``aims.yaml`` with the policy, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: MLflow's tracking store; None: the one MLflow itself would use.

    Returns:
        The entry in the log.

    Raises:
        ConfigError: the ``config`` given is wrong; one that is found and wrong costs a warning.
        InputError: nobody is named, the policy knows the person in other roles, or the version was never assessed.
        EvidenceError: the log is broken.
        DeliveryError: MLflow or the anchor file cannot be written.
        MlflowException: there is no such version, or the registry's gate refuses the entry.
    """
    said = said_by(person, role, reason, targets, valid_until)
    return _record("approve", model, version, said, config, tracking_uri)


def reject(
    model: str,
    version: str | int | None = None,
    *,
    person: str,
    role: str | None = None,
    reason: str | None = None,
    targets: str | Iterable[str] = (),
    valid_until: Until | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> ReviewEntry:
    """Reject a version: it stops moves whatever else was approved, until it is withdrawn. See ``approve``.

    Raises:
        InputError: as ``approve``, and where no reason is given.
        EvidenceError, DeliveryError, MlflowException: as ``approve``.
    """
    said = said_by(person, role, reason, targets, valid_until)
    return _record("reject", model, version, said, config, tracking_uri)


def waive(
    model: str,
    version: str | int | None = None,
    *,
    controls: str | Iterable[str],
    person: str,
    reason: str,
    valid_until: Until,
    role: str | None = None,
    targets: str | Iterable[str] = (),
    config: Config = None,
    tracking_uri: str | None = None,
) -> ReviewEntry:
    """Let a version pass without some controls or kinds of evidence, for a time. The findings stay what they are.

    Args:
        model: Name of the registered model, or a URI, see ``approve``.
        version: Its number, where ``model`` is a name.
        controls: Ids of controls (``A.7.4``), kinds of evidence (``drift``), or ``approvals``.
        person: Who waives.
        reason: Why.
        valid_until: When it ends.
        role: In what role.
        targets: Aliases, stages or models it is for; empty: all.
        config: ``aims.yaml`` with the policy, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: MLflow's tracking store; None: the one MLflow itself would use.

    Raises:
        InputError: as ``approve``, and where controls, reason or end are missing, or there is no such control.
        EvidenceError, DeliveryError, MlflowException: as ``approve``.
    """
    said = said_by(person, role, reason, targets, valid_until) | {"controls": texts(controls)}
    return _record("waive", model, version, said, config, tracking_uri)


def break_glass(
    model: str,
    version: str | int | None = None,
    *,
    person: str,
    reason: str,
    valid_until: Until,
    role: str | None = None,
    targets: str | Iterable[str] = (),
    config: Config = None,
    tracking_uri: str | None = None,
) -> ReviewEntry:
    """Let a version pass in an emergency, for seven days at most. It shows on every report. See ``waive``.

    Raises:
        InputError: as ``waive``, and where it would hold for longer.
        EvidenceError, DeliveryError, MlflowException: as ``approve``.
    """
    said = said_by(person, role, reason, targets, valid_until)
    return _record("break-glass", model, version, said, config, tracking_uri)


def withdraw(
    model: str,
    version: str | int | None = None,
    *,
    person: str,
    number: int | None = None,
    reason: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> ReviewEntry:
    """Take back what one said of a version.

    Args:
        model: Name of the registered model, or a URI, see ``approve``.
        version: Its number, where ``model`` is a name.
        person: Who takes back; only who said it can.
        number: Number of the entry in the log; None: the person's latest on the version that stands.
        reason: Why.
        config: ``aims.yaml`` with the policy, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: MLflow's tracking store; None: the one MLflow itself would use.

    Raises:
        InputError: there is no such entry, or it is another person's.
        EvidenceError, DeliveryError, MlflowException: as ``approve``.
    """
    client = _client(tracking_uri)
    name, version_number = _version(client, model, version)
    log = TransitionLog(client, key=own_key())
    back = _standing(log.read(name, fresh=True), version_number, person.strip(), number)
    draft = draft_of(
        "withdraw",
        name,
        version_number,
        said_by(person, back.role, reason, back.targets, None) | {"withdraws": back.digest},
        back.model_sha256,
    )
    return _sent(client, log, draft, config)


def _reviewed_content(client: Any, model: str, version: str, tracking_uri: str | None) -> str:
    facts = VersionReader(client, client).read(model, version, {}).facts
    uri = f"models:/{model}/{version}"
    found = content_of(facts)
    if found is None and facts.held is None:
        found = _on_record(client, model, version, uri, tracking_uri)
    if found is None:
        what = "was never assessed" if facts.held is None else "changed since it was assessed"
        raise InputError(f"the version {what}", where=uri, remedy=f"Assess first: `aims assess {uri}`.")
    return found


def _on_record(client: Any, model: str, version: str, uri: str, tracking_uri: str | None) -> str | None:
    """Digest of the model's files as its run's evidence has it; None where there is no such evidence."""
    from aims_mlflow.api import load_evidence
    from aims_mlflow.delivery import version_ref

    try:
        evidence = load_evidence(uri, "model", tracking_uri=tracking_uri)
    except EvidenceError:
        return None
    return version_ref(client.get_model_version(model, version), evidence).sha256


# sending


def _record(
    decision: Decision,
    model: str,
    version: str | int | None,
    said: Mapping[str, Any],
    config: Config,
    tracking_uri: str | None,
) -> ReviewEntry:
    any_content = "sha256:" + "0" * 64
    draft_of(decision, "model", "1", said, any_content)  # what is wrong with the words is said before MLflow is asked
    settings = _settings(config)
    said = {**said, "role": role_of(said["person"], said["role"], settings.declaration)}
    check_controls(said.get("controls", ()), settings.declaration, settings.folder)
    client = _client(tracking_uri)
    name, number = _version(client, model, version)
    draft = draft_of(decision, name, number, said, _reviewed_content(client, name, number, tracking_uri))
    return _sent(client, TransitionLog(client, key=own_key()), draft, config)


def _settings(config: Config = None) -> Settings:
    """The declaration given, or the one here; a review is also taken where the latter is broken.

    For the gate's own is what counts.
    """
    if config is not None:
        return load_settings(config)
    try:
        return load_settings()
    except ConfigError as error:
        _log.warning("aims: the review is not held against the policy here: %s", error.message)
        return load_settings({})


def notes_on(entry: ReviewEntry, *, config: Config = None) -> list[str]:
    """What whoever said it may not have meant: targets that no rule of the policy guards, a role that is not known.

    Args:
        entry: The review.
        config: As of ``approve``.
    """
    settings = _settings(config)
    return [
        *unguarded(entry.model, entry.targets, settings.declaration),
        *without_role(entry.person, entry.role, settings),
    ]


def withdrawn_by(entry: ReviewEntry, *, tracking_uri: str | None = None) -> ReviewEntry | None:
    """The entry a withdrawal takes back; None where the log cannot be read.

    Args:
        entry: The withdrawal.
        tracking_uri: MLflow's tracking store; None: the one MLflow itself would use.
    """
    try:
        found = TransitionLog(_client(tracking_uri)).read(entry.model, fresh=True)
    except AimsError:
        return None
    return next((e for e in found if isinstance(e, ReviewEntry) and e.digest == entry.withdraws), None)


def _client(tracking_uri: str | None) -> Any:
    from mlflow import MlflowClient

    from aims_mlflow.attach.store import check_reachable

    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    return client


def _version(client: Any, model: str, version: str | int | None) -> tuple[str, str]:
    if version is None:
        name, number = version_of(client, model)
    else:
        name, number = model, str(version)
        if model.startswith("models:/") or not number.isascii() or not number.isdigit():
            raise InputError("name one version of one model", remedy="For example: credit 3, or models:/credit/3.")
    return name, str(client.get_model_version(name, number).version)


def _sent(client: Any, log: TransitionLog, draft: ReviewEntry, config: Config) -> ReviewEntry:
    entry = _send(client, log, draft)
    refresh(client, draft.model, str(draft.version), config=config)
    return entry


def _send(client: Any, log: TransitionLog, draft: ReviewEntry) -> ReviewEntry:
    """Through the registry's gate where there is one, else straight into the log."""
    if log.key is not None:
        draft = draft.signed(log.key)
    if not is_gated(client, draft.model):
        return write_to(log, draft)
    _hand_over(client, draft)
    tags = client.get_model_version(draft.model, draft.version).tags or {}
    if REVIEW_TAG in tags:  # the gate went away meanwhile, and the tag was stored as any other
        client.delete_model_version_tag(draft.model, draft.version, REVIEW_TAG)
        return write_to(log, draft)
    try:
        written = log.read(draft.model, fresh=True)
    except AimsError:  # the gate took it; who may not read the log still has said it
        return draft
    return next((e for e in written if isinstance(e, ReviewEntry) and is_same(e, draft)), draft)


def _hand_over(client: Any, draft: ReviewEntry) -> None:
    """Send it to the registry's gate.

    Raises:
        InputError: the gate, or the server's own permissions, refuse it.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.set_model_version_tag(draft.model, draft.version, REVIEW_TAG, write_entry(draft))
    except MlflowException as error:
        text = str(error.message)
        if _REFUSED in text:
            raise InputError(text[text.index(_REFUSED) :]) from error
        if error.error_code == "PERMISSION_DENIED" or "code 403" in text:
            raise InputError(
                f"the server does not let this login edit {draft.model!r}",
                remedy="Ask its administrator for the permission EDIT on the registered model.",
            ) from error
        raise


_REFUSED = "AIMS refused"


def _standing(entries: Iterable[Entry], version: str, person: str, number: int | None) -> ReviewEntry:
    """The entry to take back.

    Raises:
        InputError: there is none.
    """
    reviews = [e for e in entries if isinstance(e, ReviewEntry)]
    gone = {e.withdraws for e in reviews if e.decision == "withdraw"}
    open_ones = [e for e in reviews if e.decision != "withdraw" and e.digest not in gone and e.version == version]
    if number is not None:
        found = [e for e in open_ones if e.number == number]
    else:
        found = [e for e in open_ones if e.person.casefold() == person.casefold()]
    if not found:
        what = f"entry {number} of the log is" if number is not None else f"{person or 'the person'} has"
        raise InputError(f"{what} no review of the version that stands", remedy="`aims history` lists them.")
    if found[-1].person.casefold() != person.casefold():
        raise InputError(f"entry {found[-1].number} of the log is {found[-1].person}'s, who alone can take it back")
    return found[-1]
