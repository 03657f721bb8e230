"""Files that the operator names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stackctl.cli.load import app
from stackctl.cli.output import check_can_be_written, write_file
from stackctl.errors import OutputError


def test_a_file_is_whole_or_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "load.html"
    path.write_text("old")

    def full(_path: Path, *_args: object, **_named: object) -> None:
        _path.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match="No space left"):
            write_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_file(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_files_mode_and_a_link_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "report", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_file(link, "new")
    assert link.is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)


def test_what_is_no_plain_file_is_written_into(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(fifo, "text")
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)
    assert fifo.is_fifo()


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [
        ("missing/load.html", "there is no folder", "mkdir -p"),
        ("", "is a folder", "name of a file"),
    ],
)
def test_what_cannot_be_written_is_refused_first(
    tmp_path: Path, name: str, problem: str, remedy: str
) -> None:
    with pytest.raises(OutputError, match=problem) as refused:
        check_can_be_written(tmp_path / name)
    assert remedy in refused.value.remedy
    check_can_be_written(tmp_path / "load.html")
    assert not list(tmp_path.iterdir())


def test_a_load_is_not_begun_for_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    """Not even the stack's file is read."""
    page = tmp_path / "missing" / "load.html"
    done = CliRunner().invoke(app, ["load", "--html", str(page), "--file", str(tmp_path / "none")])
    assert isinstance(done.exception, OutputError)
    assert "there is no folder" in str(done.exception)
