"""Strict YAML: what is read, what is refused, and that nothing else ever comes out."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stackctl.errors import SpecError
from stackctl.spec import load
from stackctl.spec.yaml import load_mapping, read_document


def read(tmp_path: Path, text: str | bytes) -> dict[str, object]:
    file = tmp_path / "file.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_mapping(file, "stack file")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True), ("False", False), ("on", "on"), ("yes", "yes"), ("No", "No"), ("y", "y"),
        ("", None), ("~", None), ("null", None), ("0", 0), ("-1", -1), ("8000", 8000),
        ("9223372036854775807", 2**63 - 1), ("3.4.25", "3.4.25"), ("1.2.3.4:80", "1.2.3.4:80"),
        ("'010'", "010"), ('"on"', "on"), ("2001-01-01", "2001-01-01"), ("soft:5", "soft:5"),
        ("0x", "0x"), (".", "."), ("-", None), ("10.0.0.0/24", "10.0.0.0/24"), ("1:90", "1:90"),
    ],
)  # fmt: skip
def test_scalars(tmp_path: Path, word: str, value: object) -> None:
    if word == "-":
        assert read(tmp_path, "a: ['-']") == {"a": ["-"]}
        return
    found = read(tmp_path, f"a: {word}\n")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("word", "write"),
    [
        ("010", "write 10,"), ("-08", "write -8,"), ("0o17", "write 15,"), ("0x1F", "write 31,"),
        ("0b11", "write 3,"), ("1_000", "write 1000,"), ("+5", "write 5,"), ("1:30", "write 90,"),
        ("1:30:00", "write 5400,"), ("-1:30", "write "), ("1.5", '"1.5"'), (".5", "quotes"),
        ("1e3", "quotes"), ("1.", "quotes"), (".inf", "quotes"), ("-.inf", "quotes"),
        (".NaN", "quotes"), ("1:30.5", "digits alone"), ("9" * 5000, "smaller"),
        ("0" * 5000, "digits alone"), ("0x" + "f" * 40, "digits alone"), ("0_", "write 0,"),
    ],
)  # fmt: skip
def test_numbers_readers_disagree_about(tmp_path: Path, word: str, write: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, f"a:\n  b: [1, {word}]\n")
    assert caught.value.key == "a.b[1]"
    assert "(line 2)" in str(caught.value)
    assert write in caught.value.remedy
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("---\n", "is empty"),
        ("- a\n", "holds a list"),
        ("word\n", "holds a single value"),
        ("a: 1\nb: 2\na: 3\n", "a: the same key is written twice, on lines 1 and 3"),
        ("a: {b: {c: 1, 'c': 2}}\n", "a.b.c: the same key is written twice"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: &x 1\n", "anchors (&) and aliases (*) cannot be used (line 1)"),
        ("a: 1\nb: *x\n", "anchors (&) and aliases (*) cannot be used (line 2)"),
        ("&x a: 1\n", "anchors"),
        ("a: !!python/object:os.system x\n", "tags (!) cannot be used"),
        ("! a: 1\n", "tags (!)"),
        ("!!map {a: 1}\n", "tags (!)"),
        ("? [a]\n: 1\n", "is used as a key"),
        ("a: {b: [c\n", "is not valid YAML"),
        ("a: 1\n\tb: 2\n", "is not valid YAML"),
        ("soft:1\nhard: 2\n", "look for a missing space after a colon"),
        ("%YAML 9.9\n---\na: 1\n", "is not valid YAML"),
        ('a: "\\UFFFFFFFF"\n', "an escape sequence"),
        ('a: "\\ud800"\n', "half a character"),
        ("a: \x07\n", "control characters"),
        (b"a: \0\n", "NUL"),
        (b"\xff\xfea\0", "NUL"),
        (b"a: 1\nb: \xff\n", "is not UTF-8 text (line 2)"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 50, "NUL"),
        ("a: " + "[" * 100_000, "nested deeper than"),
        ("{a: " * 50_000, "nested deeper than"),
        ("- " * 100_000, "holds a list"),
        ("? " * 100_000, "is used as a key"),
    ],
)
def test_refusals(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: x\r\n") == {"a": 1, "b": "x"}


def test_alias_bomb(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(SpecError, match="anchors"):
        read(tmp_path, bomb)


def test_ten_megabytes(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="larger than 256 KiB"):
        read(tmp_path, b"name: lab\n" * 1_000_000)


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for path, says in (
        ("missing.yaml", "missing.yaml: there is no such stack file; write one with `stackctl"),
        (".", ".: is a directory"),
        ("pipe", "pipe: is not a regular file"),
        ("a\nb", r"'a\nb': there is no such stack file"),
        ("a\0b", "no file can have this name"),
        ("a" * 300, "File name too long"),
        ("pipe/x", "pipe/x: cannot be read: Not a directory"),
    ):
        with pytest.raises(SpecError) as caught:
            load(Path(path))
        assert says in str(caught.value)


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SpecError, match="Permission denied; check"):
        load(tmp_path / "stack.yaml")


def test_confidential_text_is_neither_read_as_numbers_nor_quoted(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text("a: 0123\nb: 1e5\nc: true\n")
    document = read_document(file, "secrets file", confidential=True)
    assert document.values == {"a": "0123", "b": "1e5", "c": "true"}
    for bad in ("SECRET: 1\nSECRET: 2\n", "a: *SECRET", "a: !SECRET x", "a: {SECRET: {b: [}}"):
        file.write_text(bad)
        with pytest.raises(SpecError) as caught:
            read_document(file, "secrets file", confidential=True)
        assert "SECRET" not in f"{caught.value!s} {caught.value.key} {caught.value.__cause__}"


YAMLISH = st.text(alphabet="ab:10 -\n\t{}[],\"'#&*!|>?%@`~.\\x_\x85\u2028\ufeff", max_size=40)


@given(st.binary(max_size=64) | YAMLISH.map(str.encode) | st.text(max_size=40).map(str.encode))
@example(b'"\\x')
@example(b"a: |9\n")
@example(b"%TAG ! x\n---\n!a b")
@settings(max_examples=300)
def test_any_bytes_are_a_stack_or_a_spec_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    for content in (data, b"name: lab\nconnections: 5\n" + data):
        file.write_bytes(content)
        with contextlib.suppress(SpecError):
            load(file)
