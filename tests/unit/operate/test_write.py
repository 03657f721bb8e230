"""Write files to disk: whole or not at all, and never over files of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stackctl.errors import Exit, OutputError
from stackctl.operate.write import MANIFEST, write_tree
from stackctl.render import File

OLD = {
    "compose.yaml": File("old compose\n"),
    "telemt/telemt-1/telemt.toml": File("old one\n"),
    "telemt/telemt-2/telemt.toml": File("old two\n"),
    "secrets/.gitignore": File("*\n"),
    "secrets/telemt/users.toml": File("old users\n", 0o444),
}
NEW = {
    "compose.yaml": File("new compose\n"),
    "haproxy/haproxy.cfg": File("new haproxy\n"),
    "telemt/telemt-1/telemt.toml": File("new one\n"),
    "secrets/.gitignore": File("*\n"),
    "secrets/telemt/users.toml": File("new users\n", 0o444),
}
MODES = {"secrets": 0o700, "secrets/telemt": 0o755}


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    before = os.umask(0o022)

    def change(mask: int) -> None:
        os.umask(mask)

    yield change
    os.umask(before)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "deployment"
    write_tree(folder, OLD, MODES)
    return folder


def on_disk(folder: Path) -> dict[str, str]:
    """Every file in it but the manifest, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def texts(files: dict[str, File]) -> dict[str, str]:
    return {path: file.text for path, file in files.items()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


class TestNewFolder:
    def test_holds_exactly_the_files(self, old: Path) -> None:
        assert on_disk(old) == texts(OLD)

    def test_reports_everything_as_new(self, tmp_path: Path) -> None:
        assert write_tree(tmp_path / "new", OLD, MODES) == set(OLD)

    def test_is_made_with_its_parents(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b" / "c"
        write_tree(folder, OLD, MODES)
        assert on_disk(folder) == texts(OLD)

    def test_may_be_there_and_empty(self, tmp_path: Path) -> None:
        folder = tmp_path / "empty"
        folder.mkdir()
        write_tree(folder, OLD, MODES)
        assert on_disk(folder) == texts(OLD)

    @pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
    def test_has_its_modes_whatever_the_umask(
        self, tmp_path: Path, umask: Callable[[int], None], mask: int
    ) -> None:
        folder = tmp_path / "new"
        umask(mask)
        write_tree(folder, OLD, MODES)
        for path, file in OLD.items():
            assert mode(folder / path) == file.mode
        for path in ("", "telemt", "telemt/telemt-1"):
            assert mode(folder / path) == 0o755
        for path, wanted in MODES.items():
            assert mode(folder / path) == wanted

    @pytest.mark.parametrize("call", range(1, len(OLD) + 2))
    def test_appears_whole_or_not_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
    ) -> None:
        folder = tmp_path / "new"
        with monkeypatch.context() as broken:
            fail_at(broken, call)
            with pytest.raises(OutputError):
                write_tree(folder, OLD, MODES)
        assert list(tmp_path.iterdir()) == []
        write_tree(folder, OLD, MODES)
        assert on_disk(folder) == texts(OLD)

    def test_leaves_nothing_behind_when_interrupted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("stackctl.operate.write.os.replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_tree(tmp_path / "new", OLD, MODES)
        assert list(tmp_path.iterdir()) == []


class TestRefusal:
    def test_of_a_folder_that_is_somebody_elses(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine\n")
        with pytest.raises(OutputError, match="not rendered by stackctl") as raised:
            write_tree(tmp_path, OLD, MODES)
        assert raised.value.exit_code is Exit.USAGE
        assert "-o" in raised.value.remedy
        assert on_disk(tmp_path) == {"notes.txt": "mine\n"}

    def test_of_a_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        place = tmp_path / "deployment"
        place.write_text("mine\n")
        with pytest.raises(OutputError, match="is not a folder"):
            write_tree(place, OLD, MODES)
        assert place.read_text() == "mine\n"

    def test_of_a_file_in_place_of_a_parent(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine\n")
        with pytest.raises(OutputError):
            write_tree(tmp_path / "file" / "deployment", OLD, MODES)
        assert on_disk(tmp_path) == {"file": "mine\n"}

    def test_of_a_folder_that_cannot_be_written(
        self, old: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Permissions stop nobody who runs the tests as root.
        def refuse(**where: object) -> None:
            raise PermissionError(13, "Permission denied", str(where["dir"]))

        monkeypatch.setattr("stackctl.operate.write.tempfile.mkstemp", refuse)
        with pytest.raises(OutputError, match="Permission denied") as raised:
            write_tree(old, NEW, MODES)
        assert str(old) in str(raised.value)
        assert raised.value.remedy
        assert on_disk(old) == texts(OLD)

    @pytest.mark.parametrize(
        "damaged", ["", "{", "\xff", "null", "5", '"compose.yaml"', '{"a": 1}', "[1]"]
    )
    def test_of_a_damaged_list_of_files(self, old: Path, damaged: str) -> None:
        (old / MANIFEST).write_bytes(damaged.encode("latin-1"))
        with pytest.raises(OutputError, match="damaged"):
            write_tree(old, NEW, MODES)
        assert on_disk(old) == texts(OLD)

    @pytest.mark.parametrize("path", ["../mine", "/{tmp}/mine", "telemt/../../mine"])
    def test_to_remove_anything_outside_the_folder(self, old: Path, path: str) -> None:
        mine = old.parent / "mine"
        mine.write_text("mine\n")
        listed = path.replace("/{tmp}", str(old.parent))
        (old / MANIFEST).write_text(f'["compose.yaml", "{listed}"]')
        with pytest.raises(OutputError, match="damaged"):
            write_tree(old, NEW, MODES)
        assert mine.read_text() == "mine\n"


class TestUpdate:
    def test_holds_exactly_the_new_files(self, old: Path) -> None:
        write_tree(old, NEW, MODES)
        assert on_disk(old) == texts(NEW)

    def test_reports_what_is_new_changed_or_gone(self, old: Path) -> None:
        changed = write_tree(old, NEW, MODES)
        assert changed == (set(OLD) | set(NEW)) - {"secrets/.gitignore"}

    def test_of_nothing_changes_nothing(self, old: Path) -> None:
        before = {path: (old / path).stat().st_ino for path in OLD}
        assert write_tree(old, OLD, MODES) == frozenset()
        assert {path: (old / path).stat().st_ino for path in OLD} == before

    def test_keeps_the_folders_that_containers_have_mounted(self, old: Path) -> None:
        folders = ["", "telemt/telemt-1", "secrets", "secrets/telemt"]
        before = [(old / folder).stat().st_ino for folder in folders]
        write_tree(old, NEW, MODES)
        assert [(old / folder).stat().st_ino for folder in folders] == before

    def test_replaces_files_and_never_writes_into_them(self, old: Path) -> None:
        before = (old / "compose.yaml").stat().st_ino
        with (old / "compose.yaml").open() as reader:
            write_tree(old, NEW, MODES)
            assert reader.read() == "old compose\n"
        assert (old / "compose.yaml").stat().st_ino != before

    def test_removes_stale_files_and_the_folders_they_leave_empty(self, old: Path) -> None:
        write_tree(old, NEW, MODES)
        assert not (old / "telemt/telemt-2").exists()
        assert (old / "telemt").is_dir()

    def test_keeps_what_others_put_there(self, old: Path) -> None:
        foreign = {"notes.txt": "mine\n", "telemt/telemt-2/core": "dump\n", "haproxy/x": "y\n"}
        for path, text in foreign.items():
            (old / path).parent.mkdir(exist_ok=True)
            (old / path).write_text(text)
        write_tree(old, NEW, MODES)
        assert on_disk(old) == texts(NEW) | foreign
        write_tree(old, OLD, MODES)
        assert on_disk(old) == texts(OLD) | foreign

    def test_repairs_what_was_edited_or_removed_by_hand(self, old: Path) -> None:
        (old / "compose.yaml").write_text("edited\n")
        (old / "telemt/telemt-1/telemt.toml").unlink()
        (old / "secrets/telemt/users.toml").chmod(0o666)
        assert write_tree(old, OLD, MODES) == {
            "compose.yaml",
            "telemt/telemt-1/telemt.toml",
            "secrets/telemt/users.toml",
        }
        assert on_disk(old) == texts(OLD)
        assert mode(old / "secrets/telemt/users.toml") == 0o444

    @pytest.mark.parametrize("loosened", [0o755, 0o777])
    def test_closes_the_secrets_folder_again(self, old: Path, loosened: int) -> None:
        (old / "secrets").chmod(loosened)
        write_tree(old, NEW, MODES)
        assert mode(old / "secrets") == 0o700

    @pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
    def test_has_its_modes_whatever_the_umask(
        self, old: Path, umask: Callable[[int], None], mask: int
    ) -> None:
        umask(mask)
        write_tree(old, NEW, MODES)
        for path, file in NEW.items():
            assert mode(old / path) == file.mode
        assert mode(old / "haproxy") == 0o755

    @pytest.mark.parametrize("call", range(1, 7))
    def test_that_crashes_leaves_whole_files_and_a_rerun_repairs(
        self, old: Path, monkeypatch: pytest.MonkeyPatch, call: int
    ) -> None:
        with monkeypatch.context() as broken:
            fail_at(broken, call)
            with pytest.raises(OutputError, match="No space left") as raised:
                write_tree(old, NEW, MODES)
        assert "run the command again" in raised.value.remedy
        known = texts(OLD), texts(NEW)
        for path, text in on_disk(old).items():
            assert text in {side[path] for side in known if path in side}, path
        write_tree(old, NEW, MODES)
        assert on_disk(old) == texts(NEW)

    @pytest.mark.parametrize("call", range(1, 7))
    def test_that_crashed_can_be_taken_back(
        self, old: Path, monkeypatch: pytest.MonkeyPatch, call: int
    ) -> None:
        with monkeypatch.context() as broken:
            fail_at(broken, call)
            with pytest.raises(OutputError):
                write_tree(old, NEW, MODES)
        write_tree(old, OLD, MODES)
        assert on_disk(old) == texts(OLD)


def fail_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the disk be full at one rename and at all that follow."""
    real = os.replace
    calls = 0

    def replace(source: str, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr("stackctl.operate.write.os.replace", replace)
