"""telemt.toml from disk: textual includes, then TOML, then tables read with Telemt's types."""

import ipaddress
import tomllib
from collections.abc import Iterable
from pathlib import Path

_INCLUDE_DEPTH = 10


class ConfigError(Exception):
    """The configuration cannot be used; the message is one line for the operator."""


def read_document(path: Path) -> dict[str, object]:
    """Return the parsed file with its includes pasted in.

    Raises ConfigError for a file that cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(_paste(path, depth=0))
    except tomllib.TOMLDecodeError as error:
        # tomllib's reason quotes no values, so no secret of the file can reach the log.
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _paste(path: Path, depth: int) -> str:
    """Return the text of a file with each `include = "other"` line replaced by that file.

    Telemt does this on text, before TOML is parsed: an included file may open a section that the
    including one goes on with.
    """
    if depth > _INCLUDE_DEPTH:
        raise ConfigError(f"{path}: includes are nested deeper than {_INCLUDE_DEPTH}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return "\n".join(_line(line, path, depth) for line in text.split("\n"))


def _line(line: str, path: Path, depth: int) -> str:
    name, equals, value = line.partition("=")
    if name.strip() != "include" or not equals:
        return line
    return _paste(path.parent / value.strip().strip('"'), depth + 1)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
U32 = 2**32 - 1
U64 = 2**64 - 1


class Section:
    """A table of the file, and its path."""

    def __init__(self, table: dict[str, object], path: str = "") -> None:
        self._table = table
        self._path = path

    def path(self, key: str) -> str:
        """Return the full path of a key, as an error should name it."""
        return f"{self._path}.{key}" if self._path else key

    def wrong(self, key: str, message: str) -> ConfigError:
        """Return the error for a key; the caller raises it."""
        return ConfigError(f"{self.path(key)}: {message}")

    def names(self) -> Iterable[str]:
        """Return the keys present, in file order."""
        return self._table.keys()

    def boolean(self, key: str, default: bool) -> bool:
        """Return a boolean. Raises ConfigError for another type."""
        value = self._table.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def optional_boolean(self, key: str) -> bool | None:
        """Return a boolean, or None where the key is absent."""
        return self.boolean(key, False) if key in self._table else None

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Return an integer from low to high. Raises ConfigError for anything else."""
        value = self._table.get(key, default)
        # bool is an int to Python, not to TOML.
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"must be an integer from {low} to {high}")
        return value

    def text(self, key: str, default: str) -> str:
        """Return a string. Raises ConfigError for another type."""
        value = self._table.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "must be a string")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string, or None where the key is absent."""
        return self.text(key, "") if key in self._table else None

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """Return one of the choices. Raises ConfigError for anything else."""
        value = self.text(key, default)
        if value not in choices:
            raise self.wrong(key, f"must be one of {', '.join(choices)}")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of strings. Raises ConfigError for anything else."""
        value = self._table.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.wrong(key, "must be a list of strings")
        return tuple(value)

    def one_or_more(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; a single string is a list of one."""
        value = self._table.get(key)
        return (value,) if isinstance(value, str) else self.texts(key)

    def networks(self, key: str, default: tuple[str, ...]) -> tuple[Network, ...]:
        """Return a list of networks (CIDR; a bare address is a network of one)."""
        found = []
        for entry in self.texts(key, default):
            try:
                found.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                raise self.wrong(key, f"{entry!r} is not a network in CIDR form") from None
        return tuple(found)

    def ip(self, key: str, default: str | None = None) -> str:
        """Return an IP address as text. Raises ConfigError where it is none, or is missing."""
        if key not in self._table and default is None:
            raise self.wrong(key, "is required")
        try:
            return str(ipaddress.ip_address(self.text(key, default or "")))
        except ValueError:
            raise self.wrong(key, "must be an IP address") from None

    def section(self, key: str) -> "Section":
        """Return an inner table, empty where it is absent."""
        value = self._table.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table")
        return Section(value, self.path(key))

    def sections(self, key: str) -> tuple["Section", ...]:
        """Return a list of tables, empty where it is absent."""
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.wrong(key, f"must be a list of tables ([[{self.path(key)}]])")
        return tuple(Section(entry, f"{self.path(key)}[{at}]") for at, entry in enumerate(value))


def contains(networks: Iterable[Network], host: str) -> bool:
    """Say whether an address, without its scope after %, is in one of the networks."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return any(address in network for network in networks)
