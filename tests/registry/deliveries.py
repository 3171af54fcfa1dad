"""Deliveries as MLflow makes them, for the tests of the receiver."""

from __future__ import annotations

import json
import time
import uuid

from aims_mlflow.registry.webhook.deliveries import ID_HEADER, SIGNATURE_HEADER, TIME_HEADER, sign

SECRET = "a secret of some length"


def body(entity="model_version_alias", action="created", **data):
    content = {"name": "credit", "alias": "champion", "version": "1"} | data
    stamp = "2026-11-23T22:20:51.568380+00:00"
    return json.dumps({"entity": entity, "action": action, "timestamp": stamp, "data": content}).encode()


def signed(raw, *, secret=SECRET, identity=None, stamp=None, at=None):
    identity = identity or str(uuid.uuid4())
    stamp = stamp or str(int(time.time() if at is None else at))
    return {
        "Content-Type": "application/json",
        ID_HEADER: identity,
        TIME_HEADER: stamp,
        SIGNATURE_HEADER: sign(secret.encode(), identity, stamp, raw),
    }
