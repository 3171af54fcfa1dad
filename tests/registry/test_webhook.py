"""The receiver takes what MLflow signed a moment ago, once, and nothing else."""

from __future__ import annotations

import json
import stat
import threading

import pytest
from deliveries import SECRET, body, signed
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.errors import DeliveryError
from aims_mlflow.registry.webhook import MAX_BODY, RefusedDelivery, Seen, SeenFullError, verify
from aims_mlflow.registry.webhook.deliveries import ID_HEADER, SIGNATURE_HEADER, TIME_HEADER

NOW = 1_795_000_000.0


def refused(raw, headers, *, now=NOW, secret=SECRET):
    with pytest.raises(RefusedDelivery) as caught:
        verify(secret, headers, raw, now)
    return caught.value


# What MLflow sends


@pytest.mark.parametrize(
    ("raw", "model"),
    [
        (body(), "credit"),
        (body(action="deleted"), "credit"),
        (body("model_version"), "credit"),
        (body("model_version_tag", "set", key="aims.status", value="pass"), "credit"),
        (body("model_version_tag", "deleted", key="AIMS.vsa"), "credit"),
        (body("model_version_tag", "set", key="team", value="x"), None),
        (body("registered_model"), None),
        (body("prompt_alias"), None),
        (body("budget_policy", "exceeded"), None),
        (body(name="größe 模型"), "größe 模型"),
        (body(name="../../etc/passwd"), "../../etc/passwd"),
    ],
)
def test_a_signed_delivery_says_which_model_to_look_at_and_nothing_else(raw, model):
    headers = signed(raw, at=NOW)
    found = verify(SECRET, headers, raw, NOW)
    assert found.model == model
    assert found.id == headers[ID_HEADER]
    assert set(type(found).model_fields) == {"id", "sent_at", "entity", "action", "model"}


def test_a_real_body_with_the_signature_mlflow_makes_is_taken():
    delivery = pytest.importorskip("mlflow.webhooks.delivery")
    text = body().decode()
    identity, stamp = "0b0aa1c5-6c2b-4b2e-9d55-6e0a5d6c1a11", str(int(NOW))
    made = delivery._generate_hmac_signature(SECRET, identity, stamp, text)
    headers = {ID_HEADER.lower(): identity, TIME_HEADER.upper(): stamp, SIGNATURE_HEADER: made}
    assert verify(SECRET.encode(), headers, text.encode(), NOW).model == "credit"


# What others send


@pytest.mark.parametrize("missing", [ID_HEADER, TIME_HEADER, SIGNATURE_HEADER])
def test_a_missing_or_empty_header_is_refused(missing):
    raw = body()
    headers = signed(raw, at=NOW)
    assert missing in str(refused(raw, {**headers, missing: ""}))
    del headers[missing]
    assert missing in str(refused(raw, headers))


@pytest.mark.parametrize(
    "change",
    [
        {SIGNATURE_HEADER: "v1,AAAA"},
        {SIGNATURE_HEADER: "v1,ünï"},
        {SIGNATURE_HEADER: "\ud800"},
        {ID_HEADER: "another"},
        {TIME_HEADER: str(int(NOW) + 1)},
    ],
)
def test_a_signature_that_does_not_fit_is_refused(change):
    raw = body()
    assert refused(raw, signed(raw, at=NOW) | change).status == 401


def test_a_changed_body_and_a_wrong_secret_are_refused():
    raw = body()
    headers = signed(raw, at=NOW)
    assert refused(raw + b" ", headers).status == 401
    assert refused(raw, headers, secret="another secret of length").status == 401
    assert refused(raw, headers, secret="").status == 500


def test_a_signature_under_another_scheme_is_refused():
    raw = body()
    headers = signed(raw, at=NOW)
    headers[SIGNATURE_HEADER] = headers[SIGNATURE_HEADER].replace("v1,", "v2,")
    assert refused(raw, headers).status == 401


@pytest.mark.parametrize("late", [-301, 301, -(10**7), 10**7])
def test_an_old_timestamp_and_one_from_the_future_are_refused(late):
    raw = body()
    answer = refused(raw, signed(raw, at=NOW - late))
    assert answer.status == 401
    assert ("too old" if late > 0 else "future") in str(answer)


def test_the_edges_of_the_window_are_taken():
    raw = body()
    for late in (-300, 300):
        verify(SECRET, signed(raw, at=NOW - late), raw, NOW)


@pytest.mark.parametrize(
    "stamp", ["1e9", "-5", "inf", "１７９５００００００", "1795000000.0", "9" * 400, " 1795000000"]
)
def test_a_timestamp_in_any_other_form_is_refused(stamp):
    raw = body()
    assert refused(raw, signed(raw, stamp=stamp)).status == 400


@pytest.mark.parametrize("identity", ["a.b", "../x", "é", "a" * 65, "a b", "a\nb"])
def test_an_id_in_any_other_form_is_refused(identity):
    raw = body()
    assert refused(raw, signed(raw, identity=identity, at=NOW)).status == 400


def test_a_signature_cannot_serve_for_another_parting_of_the_same_bytes():
    raw = b"1795000000." + body()
    headers = signed(raw, identity="abc", stamp="1795000000")
    moved = headers | {ID_HEADER: "abc.1795000000"}  # id, time and body shifted by one full stop: the same bytes
    assert refused(body(), moved).status == 400


def test_an_oversized_body_is_refused_before_anything_else():
    assert refused(b"x" * (MAX_BODY + 1), {}).status == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b'"x"',
        b"[" * 100_000,
        b'{"entity": "model_version_alias", "action": "created"}',
        b'{"entity": "model_version_alias", "action": "created", "data": []}',
        b'{"entity": ["model_version_alias"], "action": {"a": 1}, "data": {}}',
        body("sudo"),
        body("model_version_alias", "exceeded"),
        body("", ""),
    ],
)
def test_a_signed_body_that_is_none_of_mlflows_is_refused(raw):
    assert refused(raw, signed(raw, at=NOW)).status == 400


@pytest.mark.parametrize("name", ["", " ", None, 7, ["credit"], "a\x00b", "a\nb", "\x1b[31m", "x" * 257, "\ud800"])
def test_a_name_no_model_can_have_is_refused(name):
    raw = body(name=name)
    assert refused(raw, signed(raw, at=NOW)).status == 400


def test_what_was_sent_is_never_repeated_in_a_refusal():
    raw = body("marker-entity", name="marker-name")
    headers = signed(raw, at=NOW)
    said = [str(refused(raw, headers)), str(refused(raw, headers | {SIGNATURE_HEADER: "v1,marker-sig"}))]
    said.append(str(refused(raw, headers | {ID_HEADER: "marker id"})))
    assert not any("marker" in text or SECRET in text for text in said)


@given(st.binary(max_size=300), st.dictionaries(st.sampled_from([ID_HEADER, TIME_HEADER, SIGNATURE_HEADER]), st.text()))
def test_nothing_that_is_not_signed_is_ever_taken_and_nothing_else_than_a_refusal_is_raised(raw, headers):
    with pytest.raises(RefusedDelivery):
        verify(SECRET, headers, raw, NOW)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_signed_json_of_any_shape_is_taken_or_refused(content):
    raw = json.dumps({"entity": "model_version", "action": "created", "data": content}).encode()
    try:
        verify(SECRET, signed(raw, at=NOW), raw, NOW)
    except RefusedDelivery:
        return


# Deliveries that come again


def test_a_delivery_is_new_once(tmp_path):
    seen = Seen(tmp_path / "seen.db")
    assert seen.add("a", NOW)
    assert not seen.add("a", NOW + 1)
    assert seen.add("b", NOW)


def test_a_restart_does_not_forget(tmp_path):
    first = Seen(tmp_path / "state" / "seen.db")
    first.add("a", NOW)
    first.close()
    assert not Seen(tmp_path / "state" / "seen.db").add("a", NOW + 599)


def test_an_id_is_forgotten_once_its_timestamp_is_refused_anyway(tmp_path):
    seen = Seen(tmp_path / "seen.db", max_age=300)
    seen.add("a", NOW)
    assert not seen.add("a", NOW + 600)
    seen.add("b", NOW + 601)
    assert len(seen) == 1


def test_no_id_is_forgotten_to_make_room(tmp_path):
    seen = Seen(tmp_path / "seen.db", limit=2)
    seen.add("a", NOW)
    seen.add("b", NOW)
    with pytest.raises(SeenFullError):
        seen.add("c", NOW)
    assert not seen.add("a", NOW)
    assert seen.add("c", NOW + 601)


def test_an_id_taken_back_may_come_again(tmp_path):
    seen = Seen(tmp_path / "seen.db")
    seen.add("a", NOW)
    seen.forget("a")
    assert seen.add("a", NOW)


def test_threads_and_receivers_that_share_the_file_take_a_delivery_once(tmp_path):
    seen = [Seen(tmp_path / "seen.db"), Seen(tmp_path / "seen.db")]
    taken = []
    threads = [threading.Thread(target=lambda i=i: taken.append(seen[i % 2].add("a", NOW))) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 15 + [True]


def test_the_file_is_its_users_alone(tmp_path):
    Seen(tmp_path / "seen.db")
    assert stat.S_IMODE((tmp_path / "seen.db").stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_an_error(tmp_path):
    (tmp_path / "seen.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DeliveryError, match=r"seen\.db"):
        Seen(tmp_path / "seen.db")
