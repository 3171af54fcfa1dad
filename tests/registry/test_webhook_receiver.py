"""Over HTTP: at once, in bounds, and with nothing of what was sent in answers or logs."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time

import pytest
from deliveries import SECRET, body, signed

from aims_mlflow.registry.webhook import MAX_BODY, Receiver, Seen, build_server


class Place:
    """A running receiver whose looks are noted."""

    def __init__(self, folder, *, limit=256, look=None):
        self.looked = []
        self.receiver = Receiver(SECRET, Seen(folder / "seen.db"), look or self.looked.append, limit=limit)
        self.server = build_server(self.receiver, "127.0.0.1", 0)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.receiver.start()

    def send(self, raw=b"", headers=None, *, method="POST", path="/webhook"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, raw, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def deliver(self, **data):
        raw = body(**data)
        return self.send(raw, signed(raw))[0].status

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.receiver.stop()


@pytest.fixture
def place(tmp_path):
    running = Place(tmp_path)
    yield running
    running.close()


def test_a_delivery_leads_to_a_look_and_sent_again_to_none(place):
    raw = body()
    headers = signed(raw)
    assert [place.send(raw, headers)[0].status for _ in range(3)] == [200] * 3
    assert place.receiver.idle(5)
    assert place.looked == ["credit"]


def test_names_arrive_as_they_are(place):
    for name in ("größe 模型", "../../etc/passwd", "%2e%2e/x"):
        assert place.deliver(name=name) == 200
        assert place.receiver.idle(5)
    assert place.looked == ["größe 模型", "../../etc/passwd", "%2e%2e/x"]


def test_what_is_not_signed_old_or_garbage_leads_to_no_look(place):
    raw = body()
    old = signed(raw, at=time.time() - 1000)
    wrong = signed(raw, secret="some other long secret")
    garbage = signed(b"garbage")
    sent = [(raw, {}), (raw, old), (raw, wrong), (b"garbage", garbage)]
    assert [place.send(*one)[0].status for one in sent] == [400, 401, 401, 400]
    assert place.receiver.idle(5)
    assert place.looked == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/webhook", 405),
        ("PUT", "/webhook", 405),
        ("POST", "/", 404),
        ("POST", "/webhook/..%2fhealth", 404),
        ("POST", "/health", 405),
        ("GET", "/../../etc/passwd", 404),
    ],
)
def test_nothing_else_is_served(place, method, path, status):
    raw = body()
    assert place.send(raw, signed(raw), method=method, path=path)[0].status == status
    assert place.looked == []


def raw_request(place, head, tail=b""):
    with socket.create_connection(("127.0.0.1", place.port), timeout=15) as connection:
        connection.sendall(head)
        if tail:
            connection.sendall(tail)
        return connection.recv(4096)


def test_a_body_too_large_is_refused_before_it_is_read(place):
    head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {10 * MAX_BODY}\r\n\r\n".encode()
    began = time.monotonic()
    assert b" 413 " in raw_request(place, head).splitlines()[0]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "lines", ["", "Transfer-Encoding: chunked\r\n", "Content-Length: -5\r\n", "Content-Length: x\r\n"]
)
def test_a_body_of_no_stated_length_is_refused(place, lines):
    head = f"POST /webhook HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()
    answer = raw_request(place, head, b"5\r\nhello\r\n0\r\n\r\n")
    assert answer.split(b" ")[1] in {b"400", b"411"}
    assert place.looked == []


def test_health_says_whether_work_goes_on(place):
    answer, content = place.send(method="GET", path="/health")
    assert (answer.status, json.loads(content)) == (200, {"status": "ok", "waiting": 0})
    place.receiver.stop()
    assert place.send(method="GET", path="/health")[0].status == 503


def test_answers_do_not_wait_for_a_look_and_more_than_can_wait_is_sent_back(tmp_path):
    go = threading.Event()
    running = Place(tmp_path, limit=2, look=lambda name: go.wait(30))
    try:
        began = time.monotonic()
        assert running.deliver(name="a") == 200
        deadline = time.monotonic() + 5
        while running.receiver.health()[1]["waiting"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [running.deliver(name=n) for n in ("b", "c", "b")] == [200] * 3
        raw = body(name="d")
        headers = signed(raw)
        answer, _ = running.send(raw, headers)
        assert answer.status == 503
        assert answer.getheader("Retry-After")
        assert time.monotonic() - began < 10
        go.set()
        assert running.receiver.idle(5)
        assert running.send(raw, headers)[1] == b"taken\n"  # the same id: MLflow's second try
    finally:
        go.set()
        running.close()


def test_a_look_that_fails_ends_neither_the_thread_nor_the_next_look(tmp_path):
    looked = []

    def look(name):
        looked.append(name)
        raise RuntimeError(name)

    running = Place(tmp_path, look=look)
    try:
        for name in ("a", "b"):
            running.deliver(name=name)
            assert running.receiver.idle(5)
        assert looked == ["a", "b"]
    finally:
        running.close()


def test_where_replays_cannot_be_told_nothing_is_taken(place, tmp_path):
    (place.receiver._seen)._db.close()
    assert place.deliver() == 503
    assert place.looked == []


def test_neither_secret_nor_body_nor_signature_reach_logs_or_answers(place, caplog):
    caplog.set_level(logging.DEBUG)
    raw = body(value="marker-value", name="marked\n-name")
    headers = signed(raw)
    answers = [place.send(raw, headers)[1]]
    good = body(value="marker-value")
    answers.append(place.send(good, signed(good) | {"X-MLflow-Signature": "v1,marker-sig"})[1])
    answers.append(place.send(good, signed(good))[1])
    assert place.receiver.idle(5)
    text = caplog.text + b"".join(answers).decode()
    assert "refused" in text
    assert "marker" not in text
    assert SECRET not in text
    assert headers["X-MLflow-Signature"] not in text
