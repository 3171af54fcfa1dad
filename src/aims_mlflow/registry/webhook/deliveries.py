"""What MLflow's webhooks deliver: who sent it, when, and which registered model to look at. Pure.

MLflow signs ``<delivery id>.<timestamp>.<body>`` with HMAC-SHA256. It sends a delivery that was not taken again under
the same id, timestamp and signature, and nothing else: whatever the body says of the registry is not evidence.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aims_mlflow.errors import AimsError
from aims_mlflow.evidence.base import Record, UtcTime

ID_HEADER = "X-MLflow-Delivery-Id"
TIME_HEADER = "X-MLflow-Timestamp"
SIGNATURE_HEADER = "X-MLflow-Signature"

MAX_BODY = 256 * 1024
"""Bytes. The largest body of MLflow's own is a version with all its tags."""
MAX_AGE = 300
"""Seconds between a delivery's timestamp and now, either way."""

_EVENTS = {
    "registered_model": {"created"},
    "model_version": {"created"},
    "model_version_tag": {"set", "deleted"},
    "model_version_alias": {"created", "deleted"},
    "prompt": {"created"},
    "prompt_version": {"created"},
    "prompt_tag": {"set", "deleted"},
    "prompt_version_tag": {"set", "deleted"},
    "prompt_alias": {"created", "deleted"},
    "budget_policy": {"exceeded"},
}
_OURS = {"model_version", "model_version_tag", "model_version_alias"}
_OWN_TAGS = "aims."
_LONGEST_NAME = 256

_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
"""No full stop: else one signature would serve for several ways to part id, timestamp and body."""
_TIME = re.compile(r"[0-9]{1,12}")


class RefusedDelivery(AimsError):  # noqa: N818  (what happens to it)
    """A request that is no delivery of MLflow's. Its text holds nothing that was sent.

    Attributes:
        status: HTTP status of the answer.
    """

    error_code = "REFUSED_DELIVERY"

    def __init__(self, message: str, *, status: int, remedy: str = "") -> None:
        self.status = status
        super().__init__(message, remedy=remedy)


class Delivery(Record):
    """A delivery that is signed and recent."""

    id: str
    sent_at: UtcTime
    """What the signed timestamp says."""
    entity: str
    action: str
    model: str | None = None
    """Name of the registered model to look at; None where nothing is to be looked at."""


def verify(
    secret: str | bytes, headers: Mapping[str, str], raw_body: bytes, now: float, max_age: int = MAX_AGE
) -> Delivery:
    """Check a request and read what it is about.

    Args:
        secret: The webhook's secret, as it was given to MLflow.
        headers: Of the request; letters' case does not matter.
        raw_body: The body as it came.
        now: Seconds since 1970.
        max_age: Greatest difference of timestamp and now, in seconds.

    Raises:
        RefusedDelivery: it is too large, lacks a header, is not signed with the secret, is too old or from the future,
            or its body is none of MLflow's events.
    """
    key = secret.encode() if isinstance(secret, str) else secret
    if not key:
        raise RefusedDelivery("the receiver has no secret", status=500)
    if len(raw_body) > MAX_BODY:
        raise RefusedDelivery(f"the body is larger than {MAX_BODY // 1024} KB", status=413)
    given = {name.casefold(): value for name, value in headers.items()}
    identity, stamp = _header(given, ID_HEADER, _ID), _header(given, TIME_HEADER, _TIME)
    signature = given.get(SIGNATURE_HEADER.casefold())
    if not signature:
        raise RefusedDelivery(
            f"the header {SIGNATURE_HEADER} is missing", status=401, remedy="Create the webhook with the secret."
        )
    expected = sign(key, identity, stamp, raw_body).encode()
    if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), expected):
        raise RefusedDelivery("the signature is not by the webhook's secret", status=401)
    if abs(now - int(stamp)) > max_age:
        which = "from the future" if int(stamp) > now else "too old"
        raise RefusedDelivery(f"the delivery is {which}", status=401, remedy="Compare the clocks of the two machines.")
    entity, action, data = _event(raw_body)
    return Delivery(
        id=identity,
        sent_at=datetime.fromtimestamp(int(stamp), UTC),
        entity=entity,
        action=action,
        model=_model(entity, data),
    )


def sign(secret: bytes, identity: str, stamp: str, raw_body: bytes) -> str:
    """The signature as MLflow writes it: ``v1,`` and the HMAC-SHA256 in base64."""
    made = hmac.new(secret, f"{identity}.{stamp}.".encode() + raw_body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def _header(given: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = given.get(name.casefold())
    if not value:
        raise RefusedDelivery(f"the header {name} is missing", status=400)
    if not form.fullmatch(value):
        raise RefusedDelivery(f"the header {name} is not of the form MLflow gives it", status=400)
    return value


def _event(raw_body: bytes) -> tuple[str, str, dict[str, Any]]:
    try:
        body = json.loads(raw_body)
    except (ValueError, RecursionError) as error:
        raise RefusedDelivery("the body is not JSON", status=400) from error
    if not isinstance(body, dict):
        raise RefusedDelivery("the body is not a JSON object", status=400)
    entity, action, data = body.get("entity"), body.get("action"), body.get("data")
    if not isinstance(entity, str) or not isinstance(action, str) or action not in _EVENTS.get(entity, ()):
        raise RefusedDelivery("the body is about none of MLflow's events", status=400)
    if not isinstance(data, dict):
        raise RefusedDelivery("the body holds no data", status=400)
    return entity, action, data


def _model(entity: str, data: Mapping[str, Any]) -> str | None:
    """The registered model to look at.

    Raises:
        RefusedDelivery: the event is about one, and what it gives for a name cannot be one.
    """
    if entity not in _OURS:
        return None
    if entity == "model_version_tag" and not str(data.get("key", "")).casefold().startswith(_OWN_TAGS):
        return None
    name = data.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.strip():
        raise RefusedDelivery("the body names no registered model", status=400)
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in name):  # control characters, half a surrogate pair
        raise RefusedDelivery("the body's name for a registered model cannot be one", status=400)
    return name
