"""Tell people of an alarm: by webhook, mail or chat, through Apprise. Never raises into the monitoring.

Apprise sends where it is told to and nowhere else; the pictures it would name by a URL are left out, and it keeps
nothing on disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aims_mlflow.controls import Row

_log = logging.getLogger("aims_mlflow")

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Message:
    """What is told, in plain text."""

    title: str
    body: str
    is_over: bool = False
    """Whether it says that an alarm has ended."""


@dataclass(frozen=True)
class Sent:
    """What became of a message for one target."""

    target: str
    """As it stands in ``monitoring.notify``, without what it keeps secret."""
    key: str
    """The target's digest in short, to know it again."""
    error: str = ""
    """Why it was not sent; empty where it was."""


def alarm_message(
    *,
    rule: str,
    system: str | None,
    version: str,
    controls: Sequence[str],
    rows: Mapping[str, Row],
    what: str,
    since: str,
    remedy: str,
    filed: str = "",
    held: bool = False,
    link: str = "",
    over: str = "",
) -> Message:
    """The text of an alarm, or of its end.

    Args:
        rule: Name of the rule.
        system: Id or name of the AI system.
        version: ``name/version``.
        controls: Ids the alarm speaks to.
        rows: The register's rows, for their titles.
        what: What happened, in a sentence.
        since: When it began.
        remedy: What to do.
        filed: The record that was opened, ``incident:ID``.
        held: Whether the version is held from promotion.
        link: Where to read more.
        over: When the number was back; empty while the alarm stands.
    """
    named = [f"{one} ({rows[one].title})" if one in rows else one for one in controls]
    system = system or "(no system declared)"
    ended = bool(over)
    lines = [
        f"System: {system}",
        f"Model version: {version}",
        f"Speaks to: {'; '.join(named) or '(no control named)'}",
        f"What happened: {what}",
        f"Since: {since}",
    ]
    if ended:
        lines.append(f"Back: {over}")
    if filed:
        lines.append(f"On record: {filed}")
    if held:
        lines.append("The version is held from further promotion while the alarm stands.")
    if ended:
        lines.append("What to do: say in the record what was done about it, and close it.")
    else:
        lines.append(f"What to do: {remedy}")
    if link:
        lines.append(f"Report: {link}")
    word = "Alarm over" if ended else "Alarm"
    return Message(f"{word}: {rule}, {version}, system {system}", "\n".join(lines), ended)


def send(
    message: Message,
    targets: Sequence[str],
    *,
    already: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> tuple[Sent, ...]:
    """Send a message to each target that has not got it.

    Args:
        message: What is told.
        targets: Apprise URLs; ``$NAME`` stands for a variable of the environment.
        already: Keys of targets that got it before.
        environment: Variables; those of the process where None.

    Returns:
        One for each target that had not got it, failed ones with the reason. Nothing is raised.
    """
    found = os.environ if environment is None else environment
    return tuple(_send(message, target, found) for target in dict.fromkeys(targets) if key_of(target) not in already)


def key_of(target: str) -> str:
    """A target's digest in short: it tells nothing of what the URL keeps secret."""
    return hashlib.sha256(target.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _send(message: Message, target: str, environment: Mapping[str, str]) -> Sent:
    name, key = _shown(target), key_of(target)
    missing = [_name(found) for found in _VARIABLE.finditer(target) if not environment.get(_name(found))]
    if missing:
        return Sent(name, key, f"the environment has no variable {missing[0]}")
    url = _VARIABLE.sub(lambda found: environment[_name(found)], target)
    try:
        return Sent(name, key, _notify(url, message))
    except Exception as error:  # noqa: BLE001  (whatever a service's plugin raises: the monitoring goes on)
        _log.debug("aims: cause", exc_info=True)
        return Sent(name, key, type(error).__name__)


def _notify(url: str, message: Message) -> str:
    """Why it could not be sent; empty where it was."""
    import apprise

    asset: Any = apprise.AppriseAsset(
        app_id="aims-mlflow",
        app_desc="aims-mlflow",
        app_url="",
        async_mode=False,
        image_url_mask=None,
        image_url_logo=None,
        storage_mode="memory",
    )
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        return "it is no address Apprise knows"
    kind = apprise.NotifyType.SUCCESS if message.is_over else apprise.NotifyType.WARNING
    sent = service.notify(
        title=message.title, body=message.body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
    )
    return "" if sent else "the service did not take it"


def _name(found: re.Match[str]) -> str:
    return found[1] or found[2]


def _shown(target: str) -> str:
    """What may be shown of a target: the names of variables, else only the service."""
    if _VARIABLE.fullmatch(target):
        return target
    return f"{target.partition('://')[0][:20]}://..." if "://" in target else "..."
