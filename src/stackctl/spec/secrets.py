"""The secrets file: who may use the proxy. No message, repr or traceback ever shows a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from stackctl.errors import SpecError
from stackctl.spec.problem import Problem, named, spec_error
from stackctl.spec.yaml import read_document

SECRET_DIGITS = 32
API_DIGITS = 64
MODE_PREFIXES = ("dd", "ee")
"""Prefixes of a secret in a link: padded intermediate, and fake TLS."""
MAX_USERS = 5000
_USER = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_HEX = frozenset("0123456789abcdefABCDEF")
_MAKE = "make one with `openssl rand -hex 16`"
_MAKE_API = "write `api: ` and 64 hex digits; `openssl rand -hex 32` makes them"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """User secrets.

    Attributes:
        users: user name → 32 lower-case hex digits.
        api: secret of Telemt's API, which HAProxy's health check and the collector send; 64
            lower-case hex digits.
        warnings: what is wrong with the file itself, for the operator.
    """

    users: Mapping[str, str]
    api: str = "0" * API_DIGITS
    warnings: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        return f"Secrets({len(self.users)} users)"


def new_secret() -> str:
    """A new secret: 128 bits from the system's random source, as 32 hex digits.

    It never begins with dd or ee. Some clients get the secret without its mode's prefix (Telethon
    does): they take these digits for a prefix, and the user's handshakes fail.
    """
    # Imported here: it loads random and hmac, which no other command needs.
    import secrets

    while (made := secrets.token_hex(SECRET_DIGITS // 2)).startswith(MODE_PREFIXES):
        pass
    return made


def new_api_secret() -> str:
    """A new secret for Telemt's API: 256 bits, as 64 hex digits."""
    import secrets

    return secrets.token_hex(API_DIGITS // 2)


def load_secrets(path: Path) -> Secrets:
    """Read and check a secrets file: `users: {NAME: SECRET}` and `api: SECRET`.

    Raises:
        SpecError: anything wrong with it; users are named, secrets never quoted.
    """
    name = named(path)
    try:
        document = read_document(path, "secrets file", confidential=True)
    except SpecError as error:
        if path.exists():
            raise
        remedy = f"write `users: {{NAME: SECRET}}` into it, mode 0600; {_MAKE}"
        raise SpecError("secrets", f"{error.key} does not exist", remedy) from None
    users = document.values.get("users")
    unknown = len(document.values) - sum(key in document.values for key in ("users", "api"))
    if unknown:
        raise SpecError(name, "has keys other than users and api", "write all users below `users:`")
    if not isinstance(users, dict) or not users:
        remedy = f"write `NAME: SECRET` below `users:`; {_MAKE}"
        raise SpecError("users", f"there is no user in {name}", remedy)
    if len(users) > MAX_USERS:
        raise SpecError("users", f"there are {len(users)} users", f"keep {MAX_USERS} at most")
    problems = [*_problems(users), *_shared(users)]
    if problems:
        # No line numbers by key: a key may be a secret written on the wrong side of the colon.
        raise spec_error(problems, {})
    lower = {user: str(secret).lower() for user, secret in users.items()}
    api = document.values.get("api")
    if api is None:
        raise SpecError("api", f"is missing in {name}", _MAKE_API)
    if not isinstance(api, str) or len(api) != API_DIGITS or not set(api) <= _HEX:
        raise SpecError("api", "is not 64 hex digits", _MAKE_API)
    return Secrets(MappingProxyType(lower), api.lower(), _warnings(path, name))


def _problems(users: Mapping[str, object]) -> list[Problem]:
    problems = []
    for position, (user, secret) in enumerate(users.items(), start=1):
        if not _USER.fullmatch(user) or _looks_secret(user):
            problem = f"user number {position} has a name that cannot be used"
            remedy = (
                "write NAME: SECRET; a name has 1 to 32 letters, digits, - and _, and is not a "
                "secret"
            )
            problems.append(Problem(("users",), problem, remedy))
        elif reason := _wrong(secret):
            problems.append(Problem(("users", user), *reason))
    return problems


def _wrong(secret: object) -> tuple[str, str] | None:
    if not isinstance(secret, str):
        return "is not a secret but has keys below it", f"write 32 hex digits; {_MAKE}"
    # Position before length: pasted quotes and spaces are the usual reason for a secret that is too
    # long.
    for position, character in enumerate(secret[: SECRET_DIGITS + 2], start=1):
        if character not in _HEX:
            problem = f"character {position} of the secret is not a hex digit"
            return problem, f"write 32 digits of 0-9 and a-f; {_MAKE}"
    if len(secret) == SECRET_DIGITS + 2 and secret[:2].lower() in ("dd", "ee"):
        return "the secret has 34 characters instead of 32", "leave out the dd or ee of a link"
    if len(secret) != SECRET_DIGITS:
        return f"the secret has {len(secret)} characters instead of 32", _MAKE
    return None


def _shared(users: Mapping[str, object]) -> list[Problem]:
    owner: dict[str, str] = {}
    problems = []
    for user, secret in users.items():
        if not isinstance(secret, str) or not secret or _wrong(secret):
            continue
        first = owner.setdefault(secret.lower(), user)
        if first != user and _USER.fullmatch(user) and _USER.fullmatch(first):
            problem = f"has the same secret as {first}, so Telemt cannot tell them apart"
            problems.append(Problem(("users", user), problem, f"give each its own; {_MAKE}"))
    return problems


def _looks_secret(user: str) -> bool:
    return len(user) >= SECRET_DIGITS - 2 and set(user) <= _HEX


def _warnings(path: Path, name: str) -> tuple[str, ...]:
    mode = path.stat().st_mode & 0o777
    if not mode & 0o077:
        return ()
    return (f"{name}: others can read it (mode {mode:04o}); run `chmod 600 {name}`",)
