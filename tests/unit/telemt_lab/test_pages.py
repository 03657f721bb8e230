"""The API and the metrics page of a running double."""

import hashlib
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemt_lab.http_server import parse_request


def test_health_has_telemts_shape_and_says_double(lab, http) -> None:
    running = lab(api="read_only = true")
    status, head, body = http(running.api, "/v1/health")
    assert status == 200
    assert "server: stackctl-lab-double" in head
    assert json.loads(body) == {
        "ok": True,
        "data": {"status": "ok", "read_only": True, "telemt": "double"},
        "revision": hashlib.sha256(running.config_path.read_bytes()).hexdigest(),
    }


def test_ready(lab, http) -> None:
    status, _, body = http(lab().api, "/v1/health/ready/?now")
    assert status == 200
    assert json.loads(body)["data"] == {
        "ready": True,
        "status": "ready",
        "admission_open": True,
        "healthy_upstreams": 1,
        "total_upstreams": 1,
        "telemt": "double",
    }


def test_not_ready_without_an_enabled_upstream(lab, http) -> None:
    running = lab(extra='[[upstreams]]\ntype = "direct"\nenabled = false')
    status, _, body = http(running.api, "/v1/health/ready")
    assert status == 503
    answer = json.loads(body)
    assert answer["ok"] is True
    assert answer["data"]["ready"] is False
    assert answer["data"]["reason"] == "no_healthy_upstreams"
    assert http(running.api, "/v1/health")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/config", 404, "not_found"),
        ("POST", "/v1/users", 405, "method_not_allowed"),
        ("POST", "/v1/health", 405, "method_not_allowed"),
    ],
)
def test_everything_else_is_refused(
    lab, http, method: str, path: str, status: int, code: str
) -> None:
    got, _, body = http(lab().api, path, method=method)
    assert got == status
    assert json.loads(body) == {
        "ok": False,
        "error": json.loads(body)["error"],
        "request_id": 1,
    }
    assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(("gray", "status"), [("drop", 0), ("api", 403), ("200", 200)])
def test_a_peer_off_the_whitelist(lab, http, gray: str, status: int) -> None:
    running = lab(api=f'whitelist = ["10.0.0.0/8"]\ngray_action = "{gray}"')
    assert http(running.api, "/v1/health")[0] == status


def test_an_empty_whitelist_admits_everyone(lab, http) -> None:
    assert http(lab(api="whitelist = []").api, "/v1/health")[0] == 200


def test_the_authorization_header_is_asked_for(lab, http) -> None:
    api = lab(api='auth_header = "Bearer x"').api
    assert http(api, "/v1/health")[0] == 401
    assert http(api, "/v1/health", "Authorization: Bearer y")[0] == 401
    assert http(api, "/v1/health", "authorization:  Bearer x ")[0] == 200


def test_metrics(lab, http) -> None:
    running = lab()
    peer = running.peer().start()
    with peer.sock:
        peer.req_pq()
        status, head, page = http(running.metrics, "/metrics")
    assert status == 200
    assert "text/plain; version=0.0.4" in head
    lines = page.splitlines()
    assert 'telemt_build_info{version="3.4.25-double",double="true"} 1' in lines
    for line in [
        "telemt_connections_total 1",
        "telemt_connections_bad_total 0",
        "telemt_accept_permit_timeout_total 0",
        'telemt_user_connections_current{user="alice"} 1',
        "telemt_upstream_connect_success_total 1",
        "telemt_upstream_connect_fail_total 0",
    ]:
        assert line in lines
    assert 0 <= running.metric("uptime_seconds") < 60
    assert http(running.metrics, "/")[0] == 404


def test_metrics_are_closed_to_others(lab, http) -> None:
    running = lab('metrics_whitelist = ["10.0.0.0/8"]')
    assert http(running.metrics, "/metrics")[0] == 0


def test_control_pages_survive_what_is_not_http(lab, http) -> None:
    api = lab().api
    for sent in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET / SPDY\r\n\r\n", b"x" * 40_000, b""):
        with socket.create_connection(api, timeout=30) as client:
            try:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
            except TimeoutError:
                raise
            except OSError:
                # What is too long is reset, perhaps before all of it has been sent.
                assert len(sent) > 16 * 1024
    assert http(api, "/v1/health")[0] == 200


def test_a_disabled_api_is_not_served(lab) -> None:
    running = lab(api="enabled = false")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(running.api, timeout=1)


def test_control_addresses_that_are_taken_are_told_and_survived(lab) -> None:
    first = lab()
    second = lab(host=first.host)
    messages = [str(event["message"]) for event in second.events("error")]
    assert [message.split(": ")[0] for message in messages] == [
        f"cannot bind {first.host}:9090",
        f"cannot bind {first.host}:9091",
    ]
    peer = second.peer().start()
    with peer.sock:
        peer.req_pq()


@given(st.binary())
def test_any_head_is_a_request_or_a_value_error(head: bytes) -> None:
    try:
        request = parse_request(head, "127.0.0.1")
    except ValueError:
        return
    assert request.path
