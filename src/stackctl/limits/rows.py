"""Short forms for rows of the limits table that differ in a key alone."""

from __future__ import annotations

from stackctl.limits.model import Compare, Depth, Kind, Place, Read, Reader, Role, Setting

BOTH = (Role.HAPROXY, Role.TELEMT)

PREPARE_HOST = (
    "prepare the host: `stackctl host apply` there (`--ssh root@HOST` from here), or `sh "
    "host/prepare.sh apply` in the folder of `stackctl render`; then recreate the containers"
)
RECREATE = (
    "recreate the container (`stackctl up`): that undoes what was set in its namespace by hand, "
    "and makes its listeners anew, which keep the value they were made with"
)


def usual(kind: Kind) -> Compare:
    """How a value of this kind is compared where a row does not say: words and flags are equal."""
    return Compare.EQUAL if kind in (Kind.WORD, Kind.FLAG) else Compare.AT_LEAST


def host_sysctl(key: str) -> tuple[Setting, ...]:
    """A key that exists once per machine: only a prepared host can give it."""
    return (Setting(Place.SYSCTL_D, key),)


def netns_sysctl(key: str) -> tuple[Setting, ...]:
    """A key with a value per network namespace: compose sets it where the engine takes it."""
    return (Setting(Place.SYSCTL_D, key), Setting(Place.COMPOSE_SYSCTL, key))


def sysctl(key: str) -> Read:
    """The key as it reads inside the target's own network namespace."""
    return Read(Reader.SYSCTL, key, Depth.APPLIED)


def fresh_socket(prop: str, part: int | None = None) -> Read:
    """A property of a socket made in the target's network namespace a moment ago."""
    return Read(Reader.FRESH_SOCKET, prop, Depth.EFFECTIVE, part)


def haproxy_cfg(section: str, text: str) -> tuple[Setting, ...]:
    """A directive of haproxy.cfg; `{}` in it stands for the value."""
    return (Setting(Place.HAPROXY_CFG, section, text),)


def haproxy_file(directive: str) -> Read:
    """The directive in the file the live worker was started from."""
    return Read(Reader.HAPROXY_CONFIG, directive, Depth.DECLARED)
