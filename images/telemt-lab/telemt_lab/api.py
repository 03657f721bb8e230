"""The control API: GET health, readiness and the users, in Telemt's shapes."""

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from http import HTTPStatus

from .config import Config
from .document import contains
from .http_server import Request, Response
from .upstream import Dialler
from .users import Users

_JSON = "application/json; charset=utf-8"
_DOUBLE = {"telemt": "double"}


class Api:
    """GET health, readiness, the users and their addresses, in Telemt's shapes.

    The health answers say `"telemt":"double"` as well.
    """

    def __init__(self, config: Config, users: Users, dialler: Dialler) -> None:
        self._config = config
        self._dialler = dialler
        self._answers: dict[str, Callable[[], Response]] = {
            "/v1/health": self._health,
            "/v1/health/ready": self._ready,
            "/v1/users": lambda: self._success(HTTPStatus.OK, user_list(users)),
            "/v1/stats/users/active-ips": lambda: self._success(
                HTTPStatus.OK, active_addresses(users)
            ),
        }
        self._request_ids = itertools.count(1)

    def answer(self, request: Request) -> Response | None:
        """Return the answer, or None where the peer gets no answer."""
        api = self._config.api
        if api.whitelist and not contains(api.whitelist, request.peer):
            return self._refuse()
        given = request.headers.get("authorization", "").encode("latin-1")
        if api.auth_header and not hmac.compare_digest(given, api.auth_header.encode()):
            return self._error(
                HTTPStatus.UNAUTHORIZED, "unauthorized", "Missing or invalid Authorization header"
            )
        answer = self._answers.get(request.path)
        if answer is None:
            known = ", ".join(self._answers)
            return self._error(HTTPStatus.NOT_FOUND, "not_found", f"the double has {known}")
        if request.method != "GET":
            return self._error(
                HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "GET only", allow="GET"
            )
        return answer()

    def _health(self) -> Response:
        data = {"status": "ok", "read_only": self._config.api.read_only, **_DOUBLE}
        return self._success(HTTPStatus.OK, data)

    def _ready(self) -> Response:
        healthy = self._dialler.healthy
        data: dict[str, object] = {
            "ready": healthy > 0,
            "status": "ready" if healthy else "not_ready",
            # Direct mode only, so there is no admission authenticator.
            "admission_open": True,
            "healthy_upstreams": healthy,
            "total_upstreams": self._config.upstream.count,
            **_DOUBLE,
        }
        if not healthy:
            data["reason"] = "no_healthy_upstreams"
        return self._success(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, data)

    def _success(self, status: HTTPStatus, data: object) -> Response:
        try:
            revision = hashlib.sha256(self._config.path.read_bytes()).hexdigest()
        except OSError as error:
            return self._error(
                HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", f"config: {error.strerror}"
            )
        return _json(status, {"ok": True, "data": data, "revision": revision})

    def _refuse(self) -> Response | None:
        match self._config.api.gray_action:
            case "api":
                return self._error(HTTPStatus.FORBIDDEN, "forbidden", "Source IP is not allowed")
            case "200":
                return Response(HTTPStatus.OK, "text/html; charset=utf-8", b"")
            case _:
                return None

    def _error(self, status: HTTPStatus, code: str, message: str, **headers: str) -> Response:
        error = {"code": code, "message": message}
        return _json(
            status, {"ok": False, "error": error, "request_id": next(self._request_ids)}, **headers
        )


def _json(status: HTTPStatus, value: dict[str, object], **headers: str) -> Response:
    return Response(status, _JSON, json.dumps(value, separators=(",", ":")).encode(), headers)


def user_list(users: Users) -> list[dict[str, object]]:
    """Return each user's limits and use, by name."""
    found = []
    for user in sorted(users, key=lambda user: user.entry.name):
        users.prune(user)
        entry = user.entry
        found.append(
            {
                "username": entry.name,
                "enabled": entry.enabled,
                "in_runtime": True,
                "user_ad_tag": None,
                "max_tcp_conns": entry.connections or None,
                "expiration_rfc3339": None,
                "data_quota_bytes": entry.quota,
                "rate_limit_up_bps": None,
                "rate_limit_down_bps": None,
                "max_unique_ips": entry.addresses or None,
                "current_connections": user.connections,
                "active_unique_ips": len(user.active),
                "active_unique_ips_list": list(user.active),
                "recent_unique_ips": len(user.recent),
                "recent_unique_ips_list": list(user.recent),
                "total_octets": user.from_client + user.to_client,
                "links": {"classic": [], "secure": [], "tls": [], "tls_domains": []},
            }
        )
    return found


def active_addresses(users: Users) -> list[dict[str, object]]:
    """Return the current addresses of each connected user, by name."""
    return [
        {"username": user.entry.name, "active_ips": list(user.active)}
        for user in sorted(users, key=lambda user: user.entry.name)
        if user.active
    ]
