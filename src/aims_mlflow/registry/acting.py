"""Who makes a move, and why: what the server's login says, else what the process or the caller says."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from aims_mlflow.gate.entries import Actor, Identity

REASON_HEADER = "X-Aims-Reason"
"""Of a request: why the move is made, percent-encoded."""
_LONGEST = 500

_stated: ContextVar[tuple[str | None, str | None]] = ContextVar("aims_stated", default=(None, None))


@contextmanager
def stating(*, actor: str | None = None, reason: str | None = None) -> Iterator[None]:
    """Say who makes the moves inside the block, and why. A server's own login counts for more."""
    before = _stated.set((actor, reason))
    try:
        yield
    finally:
        _stated.reset(before)


def stated_reason() -> str | None:
    """Why the move is made, as far as anybody said."""
    request = _request()
    if request is not None:
        text = unquote(request.headers.get(REASON_HEADER, ""))
        return " ".join(text.split())[:_LONGEST] or None
    reason = _stated.get()[1]
    return reason[:_LONGEST] if reason else None


def acting() -> Actor:
    """Who makes the move.

    In MLflow's server: the user its login checked, else the name the request gives itself, else nobody. Elsewhere: the
    one stated, else the name for the tracking server, else the machine's user.
    """
    request = _request()
    if request is not None:
        return _of_request(request)
    name = _stated.get()[0] or os.environ.get("MLFLOW_TRACKING_USERNAME")
    if not name:
        with suppress(Exception):
            name = getpass.getuser()
    return Actor(name=name[:200], identity=Identity.CLAIMED) if name else Actor()


def _request() -> Any | None:
    flask = sys.modules.get("flask")
    return flask.request if flask is not None and flask.has_request_context() else None


def _of_request(request: Any) -> Actor:
    from flask import g

    checked = getattr(g, "mlflow_authenticated_user", None)
    checked = getattr(checked, "username", checked)
    if checked:
        return Actor(name=str(checked)[:200], identity=Identity.AUTHENTICATED)
    claimed = request.authorization.username if request.authorization else None
    if not claimed:
        return Actor()
    identity = Identity.AUTHENTICATED if _login_is_checked() else Identity.CLAIMED
    return Actor(name=str(claimed)[:200], identity=identity)


def _login_is_checked() -> bool:
    """Whether MLflow's basic-auth stands before every request of this app: it lets no wrong password this far."""
    from flask import current_app

    before = current_app.before_request_funcs.get(None, [])
    return any(getattr(one, "__module__", "") == "mlflow.server.auth" for one in before)
