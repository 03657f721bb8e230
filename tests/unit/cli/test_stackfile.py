"""Without --file: ./stack.yaml, else the stack that runs, else the one below; never a guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stackctl.cli import main as _registers  # noqa: F401
from stackctl.cli import stackfile
from stackctl.cli.app import app, load_stack
from stackctl.cli.stackfile import choose, files_of, find_stack_file
from stackctl.errors import Exit, SpecError

A, B = Path("a/stack.yaml"), Path("b.yaml")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; nothing runs."""
    monkeypatch.chdir(tmp_path)
    runs(monkeypatch, {})
    return tmp_path


def runs(monkeypatch: pytest.MonkeyPatch, folders: dict[str, str] | None) -> None:
    monkeypatch.setattr(stackfile, "_running", lambda: folders)


def write(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"name: {name}\nconnections: 10\n")
    return path


def test_the_usual_name_is_taken_without_a_word_and_without_an_engine(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "stack.yaml", "mine")
    write(here / "other.yaml", "other")

    def asked() -> None:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(stackfile, "_running", asked)
    assert load_stack(None).name == "mine"
    assert capsys.readouterr() == ("", "")


def test_the_stack_that_runs_is_taken_and_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("lab", "demo"):
        write(here / f"stack/{name}.yaml", name)
    runs(monkeypatch, {"lab": str(here / "stack/.stackctl/lab")})
    assert load_stack(None).source_file == Path("stack/lab.yaml")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "stackctl: using stack/lab.yaml: stack lab runs from it\n")


def test_the_only_stack_file_below_is_taken_and_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "proxy/mine.yaml", "mine")
    assert find_stack_file() == Path("proxy/mine.yaml")
    assert "using proxy/mine.yaml: it is the only stack file here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ("up",),
        ("down",),
        ("host", "apply"),
        ("host", "rollback"),
        ("init", "--secrets-only"),
    ],
    ids=" ".join,
)
def test_a_command_that_changes_things_never_takes_one_of_several(
    here: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    for name in ("lab", "demo"):
        write(here / f"stack/{name}.yaml", name)
    runs(monkeypatch, {"lab": str(here / "stack/.stackctl/lab")})
    error = CliRunner().invoke(app, argv).exception
    assert isinstance(error, SpecError)
    assert "several stack files fit" in error.message
    assert "--file stack/lab.yaml   (lab)" in error.message
    assert error.exit_code == Exit.USAGE
    assert sorted(path.name for path in here.rglob("*.yaml")) == ["demo.yaml", "lab.yaml"]


def test_a_command_that_changes_things_takes_the_only_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here / "stack/lab.yaml", "lab")
    # The file below and that of the running stack are one.
    runs(monkeypatch, {"lab": str(here / "stack/.stackctl/lab")})
    assert load_stack(None, changes=True).name == "lab"


@pytest.mark.parametrize(
    ("running", "below", "asked", "says"),
    [
        ({A: "a", B: "b"}, {A: "a"}, True, "several stack files belong to running stacks:"),
        ({}, {A: "a", B: "b"}, True, "several stack files are here, and none of them runs:"),
        ({}, {A: "a", B: "b"}, False, "and no engine says which of them runs:"),
    ],
)
def test_several_are_listed_with_the_remedy(
    running: dict[Path, str], below: dict[Path, str], asked: bool, says: str
) -> None:
    with pytest.raises(SpecError) as caught:
        choose(running, below, asked)
    assert says in caught.value.message
    assert "--file a/stack.yaml   (a)\n  --file b.yaml   (b)" in caught.value.message
    assert caught.value.remedy == "name one of them: --file PATH"
    assert caught.value.exit_code == Exit.USAGE


def test_where_there_is_none_the_remedy_is_to_write_one(here: Path) -> None:
    with pytest.raises(SpecError, match=r"no such stack file.*`stackctl init`.*--file PATH"):
        find_stack_file()


def test_a_running_stack_leads_to_the_file_of_its_name(here: Path) -> None:
    lab = write(here / "stack/lab.yaml", "lab")
    write(here / "stack/demo.yaml", "demo")
    elsewhere = write(here.parent / f"{here.name}-elsewhere/stack.yaml", "far")
    assert files_of(
        {
            "lab": str(lab.parent / ".stackctl/lab"),
            "far": str(elsewhere.parent / ".stackctl/far"),
            # Started from a rendered folder, by a copy of `check`, and on another machine.
            "rendered": "/opt/stackctl/rendered",
            "check-1": "/tmp/stackctl-check-x/stack",
            "remote": "/no/such/.stackctl/remote",
        }
    ) == {Path("stack/lab.yaml"): "lab", elsewhere: "far"}


def test_two_files_of_the_running_stack_s_name_are_several(here: Path) -> None:
    for file in ("lab.yaml", "lab-old.yaml"):
        write(here / file, "lab")
    running = files_of({"lab": str(here / ".stackctl/lab")})
    with pytest.raises(SpecError, match="belong to running stacks"):
        choose(running, {}, asked=True)


def test_an_engine_that_does_not_answer_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    write(tmp_path / "a/stack.yaml", "a")
    assert find_stack_file() == Path("a/stack.yaml")
