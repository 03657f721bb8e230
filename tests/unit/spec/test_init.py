"""A new stack: complete, private, never over something that is there, and all or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stackctl.errors import OutputError, SpecError
from stackctl.spec import init, init_secrets, load, load_secrets
from stackctl.spec.schema import schema_text

ROOT = Path(__file__).parents[3]


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_the_lab_is_what_init_writes(tmp_path: Path) -> None:
    init(tmp_path, "lab", 8000, 2)
    written = (tmp_path / "stack.yaml").read_text()
    # An operator's stack reaches Telegram; a lab needs no internet.
    changed = {
        "  datacentre: telegram": "  datacentre: lab",
        "$schema=.stackctl/stack.schema.json": "$schema=../src/stackctl/schema/stack.schema.json",
    }
    for mine, theirs in changed.items():
        assert written.count(f"{mine}\n") == 1
        written = written.replace(f"{mine}\n", f"{theirs}\n")
    assert (ROOT / "stack/lab.yaml").read_text() == written


def test_what_is_written_is_ready_for_use(tmp_path: Path) -> None:
    written = init(tmp_path, "lab", 8000, 2)
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        ".stackctl/stack.schema.json",
        ".gitignore",
        "secrets.yaml",
        "stack.yaml",
    ]
    stack = load(tmp_path / "stack.yaml", for_use=True)
    assert (stack.name, stack.connections, stack.replicas) == ("lab", 8000, 2)
    secrets = load_secrets(stack.secrets_path)
    assert (len(secrets.users), secrets.warnings) == (1, ())
    assert stack.secrets_path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".gitignore").read_text() == "secrets.yaml\n.stackctl/\n"
    first = (tmp_path / "stack.yaml").read_text().splitlines()[0]
    assert (tmp_path / first.partition("$schema=")[2]).read_text() == schema_text()


def test_two_stacks_have_two_secrets(tmp_path: Path) -> None:
    for name in ("a", "b"):
        init(tmp_path / name, name, 1, 1)
    a, b = (load_secrets(tmp_path / name / "secrets.yaml").users for name in ("a", "b"))
    assert a != b


@pytest.mark.parametrize("taken", ["stack.yaml", "secrets.yaml"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(SpecError, match=f"{taken}: exists already; .*move it away"):
        init(tmp_path, "lab", 1, 1)
    assert names(tmp_path) == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_a_dangling_link_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpecError, match="exists already"):
        init(tmp_path, "lab", 1, 1)
    with pytest.raises(SpecError, match="exists already"):
        init_secrets(tmp_path / "secrets.yaml")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x", "x\nsecrets.yaml\n.stackctl/\n"),
        ("x\n", "x\nsecrets.yaml\n.stackctl/\n"),
        ("secrets.yaml\n", "secrets.yaml\n.stackctl/\n"),
        ("/.stackctl/\nsecrets.yaml", "/.stackctl/\nsecrets.yaml"),
    ],
)
def test_gitignore_is_added_to(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / ".gitignore").write_text(before)
    init(tmp_path, "lab", 1, 1)
    assert (tmp_path / ".gitignore").read_text() == after


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (("Lab", 1, 1), "name"),
        (("lab; id", 1, 1), "name"),
        (("lab", 0, 1), "connections"),
        (("lab", 1, 0), "replicas"),
        (("lab", 1, 10**9), "replicas"),
    ],
)
def test_values_are_checked_first(tmp_path: Path, values: tuple[str, int, int], key: str) -> None:
    with pytest.raises(SpecError) as caught:
        init(tmp_path / "new", *values)
    assert caught.value.key == key
    assert names(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, says in (("file", "is not a directory"), ("no/such", "is not a directory; make it")):
        with pytest.raises(SpecError, match=says):
            init(tmp_path / path, "lab", 1, 1)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/.stackctl").write_text("")
    with pytest.raises(SpecError, match=r"\.stackctl: is not a directory; move it away"):
        init(tmp_path / "x", "lab", 1, 1)
    (tmp_path / "y/.gitignore").mkdir(parents=True)
    with pytest.raises(SpecError, match=r"\.gitignore: is not a regular file"):
        init(tmp_path / "y", "lab", 1, 1)


@pytest.mark.parametrize(
    "failing", ["stack.schema.json", ".gitignore", "secrets.yaml", "stack.yaml"]
)
@pytest.mark.parametrize("known", [True, False], ids=["existing", "new"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_midway_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    known: bool,
    error: BaseException,
) -> None:
    directory = tmp_path / "new"
    if known:
        directory.mkdir()
        (directory / "other").write_text("mine")
    before = names(tmp_path)
    real = os.open

    def limited(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).name == failing and flags & os.O_CREAT:
            raise error
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", limited)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        init(directory, "lab", 1, 1)
    assert names(tmp_path) == before


def test_a_failure_midway_restores_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitignore").write_text("mine")
    (tmp_path / ".stackctl").mkdir()
    (tmp_path / ".stackctl/stack.schema.json").write_text("old")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OutputError, match=r"secrets\.yaml: cannot be written: No space left"):
        init(tmp_path, "lab", 1, 1)
    assert (tmp_path / ".gitignore").read_text() == "mine"
    assert (tmp_path / ".stackctl/stack.schema.json").read_text() == "old"
    assert names(tmp_path) == [".gitignore", ".stackctl", ".stackctl/stack.schema.json"]


def test_secrets_alone(tmp_path: Path) -> None:
    path = init_secrets(tmp_path / "secrets.yaml")
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    with pytest.raises(SpecError, match="exists already"):
        init_secrets(path)
    assert path.read_text() == before
    with pytest.raises(OutputError):
        init_secrets(tmp_path / "no/secrets.yaml")
