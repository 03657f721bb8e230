"""The answers of the control API and of the metrics page."""

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from http import HTTPStatus

from .beobachten import Beobachten
from .config import Config
from .control import Request, Response
from .counters import Counters
from .fields import Network, contains
from .upstream import Dialler
from .user_stats import active_addresses, quotas, user_list
from .users import Users

_JSON = "application/json; charset=utf-8"
_DOUBLE = {"telemt": "double"}


class Api:
    """GET /v1/health, /v1/health/ready and /v1/stats/users..., in Telemt's shapes.

    The health answers say `"telemt":"double"` as well.
    """

    def __init__(self, config: Config, users: Users, dialler: Dialler) -> None:
        self._config = config
        self._dialler = dialler
        self._answers: dict[str, Callable[[], Response]] = {
            "/v1/health": self._health,
            "/v1/health/ready": self._ready,
            "/v1/stats/users": lambda: self._success(HTTPStatus.OK, user_list(users)),
            "/v1/users": lambda: self._success(HTTPStatus.OK, user_list(users)),
            "/v1/stats/users/active-ips": lambda: self._success(
                HTTPStatus.OK, active_addresses(users)
            ),
            "/v1/stats/users/quota": lambda: self._success(HTTPStatus.OK, quotas(users)),
        }
        self._request_ids = itertools.count(1)

    def answer(self, request: Request) -> Response | None:
        """Return the answer, or None where the peer gets none."""
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
            # Direct mode only, so there is no admission gate.
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


class Metrics:
    """GET /metrics and /beobachten for those on the whitelist; an empty one admits everyone."""

    def __init__(
        self,
        counters: Counters,
        beobachten: Beobachten,
        users: Users,
        whitelist: tuple[Network, ...],
    ) -> None:
        self._counters = counters
        self._beobachten = beobachten
        self._users = users
        self._whitelist = whitelist

    def answer(self, request: Request) -> Response | None:
        """Return the page, 404 for another path, or None where the peer gets no answer."""
        if self._whitelist and not contains(self._whitelist, request.peer):
            return None
        if request.path == "/beobachten":
            page = self._beobachten.render().encode()
            return Response(HTTPStatus.OK, "text/plain; charset=utf-8", page)
        if request.path != "/metrics":
            return Response(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"Not Found\n")
        page = self._counters.render(self._users).encode()
        return Response(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", page)


def _json(status: HTTPStatus, value: dict[str, object], **headers: str) -> Response:
    return Response(status, _JSON, json.dumps(value, separators=(",", ":")).encode(), headers)
