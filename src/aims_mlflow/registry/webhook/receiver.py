"""Takes deliveries over HTTP, answers at once, and lets one thread look at the models they are about."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aims_mlflow.errors import DeliveryError
from aims_mlflow.registry.webhook.deliveries import MAX_AGE, MAX_BODY, RefusedDelivery, verify
from aims_mlflow.registry.webhook.seen import Seen, SeenFullError

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

_log = logging.getLogger("aims_mlflow")
PATH = "/webhook"
_SLOWEST = 10
"""Seconds a client may take for a part of its request."""
_CONNECTIONS = 64


class Receiver:
    """Verifies deliveries and keeps the models to look at.

    A model waits once, however many deliveries are about it. Where too many wait, a delivery is not taken and MLflow
    sends it again.

    Args:
        secret: The webhook's secret.
        seen: Deliveries taken before.
        look: Looks at a model; called in one thread of its own.
        limit: Models that may wait.
        max_age: See ``verify``.
    """

    def __init__(
        self, secret: str, seen: Seen, look: Callable[[str], Any], *, limit: int = 256, max_age: int = MAX_AGE
    ) -> None:
        self._secret = secret
        self._seen = seen
        self._look = look
        self._limit = limit
        self._max_age = max_age
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._changed = threading.Condition()
        self._busy = False
        self._stopped = False
        self._worker = threading.Thread(target=self._work, name="aims-webhook", daemon=True)

    def take(self, headers: Mapping[str, str], raw_body: bytes, now: float | None = None) -> tuple[int, str]:
        """HTTP status and a few words for a request."""
        moment = time.time() if now is None else now
        try:
            delivery = verify(self._secret, headers, raw_body, moment, self._max_age)
            if delivery.model is None:
                return 200, "nothing to look at"
            if not self._seen.add(delivery.id, moment):
                return 200, "taken before"
            if not self._enqueue(delivery.model):
                self._seen.forget(delivery.id)
                return 503, "too much to do"
        except RefusedDelivery as refused:
            _log.warning("aims: a request was refused: %s", refused.message)
            return refused.status, refused.message
        except (SeenFullError, DeliveryError) as error:  # a replay could not be told from a delivery
            _log.warning("aims: a delivery was not taken: %s", error.message)
            return 503, "try again"
        _log.info("aims: delivery %s: %s of %r", delivery.id, f"{delivery.entity}.{delivery.action}", delivery.model)
        return 200, "taken"

    def start(self) -> None:
        """Start the thread that looks."""
        self._worker.start()

    def stop(self) -> None:
        """End it after the look under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._worker.join(timeout=60)

    def idle(self, timeout: float) -> bool:
        """Wait until nothing is left to do; False where that takes longer than the timeout, in seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def health(self) -> tuple[int, dict[str, Any]]:
        """HTTP status, and how much waits."""
        alive = self._worker.is_alive()
        with self._changed:
            waiting = len(self._waiting)
        return (200 if alive else 503), {"status": "ok" if alive else "not working", "waiting": waiting}

    def _enqueue(self, model: str) -> bool:
        with self._changed:
            if model not in self._waiting and len(self._waiting) >= self._limit:
                return False
            self._waiting[model] = None
            self._changed.notify_all()
            return True

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopped)
                if self._stopped:
                    return
                model, _ = self._waiting.popitem(last=False)
                self._busy = True
            try:
                self._look(model)
            except Exception as error:  # noqa: BLE001  (a look that fails costs that look; `aims reconcile` finds the rest)
                name = getattr(error, "error_code", None) or type(error).__name__
                _log.warning("aims: %r could not be looked at (%s)", model, name)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()


def build_app(receiver: Receiver) -> Flask:
    """The web application: ``POST /webhook`` and ``GET /health``."""
    from flask import Flask, Response, jsonify, request

    app = Flask("aims-webhook", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY

    def webhook() -> Response:
        length = request.content_length
        if length is None:
            return _plain(411, "the length of the body is missing")
        if length > MAX_BODY:
            return _plain(413, "the body is too large")
        return _plain(*receiver.take(dict(request.headers), request.get_data(cache=False)))

    def health() -> Response:
        status, content = receiver.health()
        response = jsonify(content)
        response.status_code = status
        return response

    def _plain(status: int, text: str) -> Response:
        response = Response(text + "\n", status, content_type="text/plain; charset=utf-8")
        if status == 503:
            response.headers["Retry-After"] = "2"
        if status in {411, 413}:
            response.headers["Connection"] = "close"
        return response

    app.add_url_rule(PATH, view_func=webhook, methods=["POST"])
    app.add_url_rule("/health", view_func=health, methods=["GET"])
    return app


def build_server(receiver: Receiver, host: str, port: int) -> BaseWSGIServer:
    """A threaded server for the application, bound and not yet serving.

    Raises:
        OSError: the address cannot be bound.
    """
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

    slots = threading.BoundedSemaphore(_CONNECTIONS)

    class Handler(WSGIRequestHandler):
        """One connection; requests are logged by the receiver, without what was sent."""

        timeout = _SLOWEST

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ARG002
            return

        def version_string(self) -> str:
            return "aims"

    class Server(ThreadedWSGIServer):
        """At most so many connections at a time: one more is closed at once, and MLflow tries again."""

        def process_request(self, request: Any, client_address: Any) -> None:
            if not slots.acquire(blocking=False):
                self.shutdown_request(request)
                return
            super().process_request(request, client_address)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                slots.release()

    return Server(host, port, build_app(receiver), handler=Handler)
