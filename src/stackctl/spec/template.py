"""What `stackctl init` writes: a stack file annotated by the model's descriptions, and secrets.

The stack files that ship come from the same function. A key that is not set is shown as an example,
behind a # without a space.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from stackctl.spec.keys import LIMIT_BY_KEY, Key, keys

WIDTH = 100

HEADER = """\
One stack: HAProxy in front of Telemt replicas. `stackctl plan` shows what follows from this file,
`stackctl up` starts it, `stackctl verify` proves every limit on the live processes.
"""
_EXAMPLES = """\
A key behind a # without a space is not set; its value is an example. To set it, remove the # before
it and before the mapping that contains it.
"""

STARTER = (
    *("replicas", "network", "link", "listen", "balance", "buffers", "limits.mode"),
    *("haproxy.source", "haproxy.version", "telemt.source", "telemt.version", "telemt.domain"),
    *("telemt.public_host", "telemt.middle_proxy", "telemt.modes", "telemt.datacentre"),
    *("telemt.mask", "secrets"),
)
"""Keys that a new stack file sets to their defaults: those that an operator is likely to change."""

_SECRETS = """\
# Users of the proxy, as NAME: 32 hex digits. Never commit this file, and keep it at mode 0600.
# Each user has a line; `openssl rand -hex 16` makes a secret.
users:
  {user}: "{secret}"

# HAProxy's health check and the collector send this to Telemt's API; nobody else needs it.
# `openssl rand -hex 32` makes a new one.
api: "{api}"
"""

FIRST_USER = "user1"


def starter(name: str, connections: int, replicas: int) -> dict[str, Any]:
    """What a new stack file sets, by the dotted names of its keys."""
    defaults = {key.name: key.default for key in keys() if key.name in STARTER}
    return {**defaults, "name": name, "connections": connections, "replicas": replicas}


def stack_text(
    values: Mapping[str, Any],
    schema: str,
    header: str = HEADER,
    notes: Mapping[str, str] | None = None,
) -> str:
    """An annotated stack file with every key of the model, set or as an example.

    Args:
        values: what is set, by the dotted name of each key.
        schema: where editors find the JSON Schema, relative to the file.
        header: what the file is for.
        notes: further sentences about keys in this file, by their dotted names.
    """
    lines = [f"# yaml-language-server: $schema={schema}", "#", *_comment(header, "")]
    lines += ["#", *_comment(_EXAMPLES, "")]
    for key in keys():
        if len(key.path) == 1:
            lines.append("")
        lines += _lines(key, values, (notes or {}).get(key.name, ""))
    return "\n".join(lines) + "\n"


def _lines(key: Key, values: Mapping[str, Any], note: str) -> Iterator[str]:
    indent = "  " * (len(key.path) - 1)
    for text in filter(None, (key.description, note)):
        yield from _comment(text, indent)
    if key.path[-1] == LIMIT_BY_KEY:
        for name, example in key.example.items():
            yield f"{indent}#{name}: {written(example)}"
    elif key.part:
        is_set = any(name.startswith(f"{key.name}.") for name in values)
        yield f"{indent}{'' if is_set else '#'}{key.path[-1]}:"
    elif key.name in values:
        yield f"{indent}{key.path[-1]}: {written(values[key.name])}"
    else:
        yield f"{indent}#{key.path[-1]}: {written(key.example)}"


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_on_hyphens=False,
        break_long_words=False,
    )


def written(value: object) -> str:
    """A value as a stack file spells it, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    # All YAML readers take these words for text. Values such as 3.0 go in quotes.
    if isinstance(value, str) and re.fullmatch(r"[a-z./][A-Za-z0-9_./:-]*|(\d+\.){2,3}\d+", value):
        return value
    return json.dumps(value)


def secrets_text(secret: str, api: str) -> str:
    """A secrets file with one user, and the API's secret."""
    return _SECRETS.format(user=FIRST_USER, secret=secret, api=api)
