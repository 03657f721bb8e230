"""Strict YAML: one mapping as YAML 1.2 reads it, without anything that YAML readers disagree
about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from stackctl.errors import SpecError
from stackctl.spec.file import read_text
from stackctl.spec.problem import Location, Problem, RefusedError, dotted, named, spec_error
from stackctl.spec.scalar import scalar

MAX_DEPTH = 8


@dataclass(slots=True)
class Document:
    """A file as read.

    Attributes:
        values: its mapping; keys are always text.
        lines: line number, from 1, of every key and list item.
        problems: values that YAML readers disagree about; these keep their text in `values`.
    """

    values: dict[str, object] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def load_mapping(path: Path, what: str) -> dict[str, object]:
    """Read a YAML file that holds one mapping.

    Args:
        path: the file, at most 256 KiB.
        what: what it is to the operator ("stack file"), for messages.

    Raises:
        SpecError: it cannot be read, or is not one plain mapping; see `read_document`.
    """
    document = read_document(path, what)
    if document.problems:
        raise spec_error(document.problems, document.lines)
    return document.values


def read_document(path: Path, what: str, *, confidential: bool = False) -> Document:
    """Read a YAML file that holds one mapping, with line numbers.

    Args:
        path: the file, at most 256 KiB.
        what: what it is to the operator ("stack file"), for messages.
        confidential: messages quote nothing of the file, and every scalar stays text.

    Raises:
        SpecError: missing, a directory, unreadable, too large, not UTF-8 text, not YAML, empty,
            not a mapping, more than one document, nested deeper than 8 levels, or with anchors,
            aliases, tags or duplicate keys.
    """
    name = named(path)
    text = read_text(path, what)
    reader = _Reader(text, name, what, confidential)
    try:
        return reader.read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1})" if mark else ""
        why = "" if confidential else f": {(error.problem or error.context or '')[:120]!s}"
        problem = f"is not valid YAML{where}{why}"
        remedy = "correct that line; look for a missing space after a colon, a tab or an open quote"
    except yaml.YAMLError:
        # The reader's own complaint about a character that no YAML may hold.
        problem, remedy = "is not text: it holds control characters", f"give the path of a {what}"
    except (ValueError, OverflowError):
        # PyYAML passes on the errors of int() and chr(), for "\UFFFFFFFF" for instance.
        problem = "is not valid YAML: an escape sequence or a directive is malformed"
        remedy = "write the character itself"
    raise SpecError(name, problem, remedy) from None


class _Reader:
    """Builds the mapping from PyYAML's events, which carry lines and expand nothing."""

    def __init__(self, text: str, name: str, what: str, confidential: bool) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._name = name
        self._what = what
        self._confidential = confidential
        self._document = Document()

    def read(self) -> Document:
        next(self._events)
        if isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise self._empty()
        event = next(self._events)
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and not event.value:
            raise self._empty()
        self._check(event)
        if not isinstance(event, yaml.MappingStartEvent):
            if isinstance(event, yaml.ScalarEvent):
                next(self._events)  # a syntax error right behind it says more
            kind = "a list" if isinstance(event, yaml.SequenceStartEvent) else "a single value"
            raise self._error("", event, f"holds {kind}", "write `key: value` lines")
        values = self._value(event, ())
        next(self._events)
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            remedy = "keep one document: remove the `---` and what follows it"
            raise self._error("", event, "holds more than one document", remedy)
        assert isinstance(values, dict)
        self._document.values = values
        return self._document

    def _value(self, event: yaml.Event, at: Location) -> object:
        self._check(event)
        self._document.lines.setdefault(at, _line(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, at)
        if len(at) >= MAX_DEPTH:
            problem = f"is nested deeper than {MAX_DEPTH} levels"
            raise self._error(self._key(at), event, problem, "no key needs that: remove it")
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(event, (*at, len(items))))
            return items
        values: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._check(event)
            if not isinstance(event, yaml.ScalarEvent):
                problem = "a list or mapping is used as a key"
                raise self._error(self._key(at), event, problem, "write a word before the colon")
            key = event.value
            here = (*at, key)
            if key in values:
                lines = f"on lines {self._document.lines[here]} and {_line(event)}"
                problem = f"the same key is written twice, {lines}"
                raise SpecError(self._key(here), problem, "keep one of them")
            self._document.lines[here] = _line(event)
            values[key] = self._value(next(self._events), here)
        return values

    def _scalar(self, event: yaml.ScalarEvent, at: Location) -> object:
        value = event.value
        if any("\ud800" <= character <= "\udfff" for character in value):
            problem = "holds half a character (a lone surrogate)"
            raise self._error(self._key(at), event, problem, "write the character itself")
        if self._confidential or not event.implicit[0]:
            return value
        try:
            return scalar(value)
        except RefusedError as refusal:
            self._document.problems += [problem.below(*at) for problem in refusal.problems]
            return value

    def _check(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            remedy = "write the value out where it is needed"
            raise self._error("", event, "anchors (&) and aliases (*) cannot be used", remedy)
        if getattr(event, "tag", None):
            remedy = "remove the tag; put text that begins with ! in quotes"
            raise self._error("", event, "tags (!) cannot be used", remedy)

    def _key(self, at: Location) -> str:
        return self._name if self._confidential or not at else dotted(at)

    def _empty(self) -> SpecError:
        remedy = f"write a {self._what} with `stackctl init`, or correct the path"
        return SpecError(self._name, "is empty", remedy)

    def _error(self, key: str, event: yaml.Event, problem: str, remedy: str) -> SpecError:
        return SpecError(key or self._name, f"{problem} (line {_line(event)})", remedy)


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 0
