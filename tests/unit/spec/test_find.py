"""Stack files are found by what every one of them has, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

from stackctl.spec.find import stack_files

STACK = "name: {}\nconnections: 10\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_stack_files_here_and_in_folders_of_this_one(tmp_path: Path) -> None:
    write(tmp_path / "mine.yaml", STACK.format("mine"))
    write(tmp_path / "a/stack.yml", STACK.format('"quoted"  # why'))
    write(tmp_path / "a/deeper/stack.yaml", STACK.format("deeper"))
    write(tmp_path / ".hidden/stack.yaml", STACK.format("hidden"))
    assert stack_files(tmp_path) == {
        tmp_path / "mine.yaml": "mine",
        tmp_path / "a/stack.yml": "quoted",
    }
    assert stack_files(tmp_path, below=False) == {tmp_path / "mine.yaml": "mine"}


def test_other_yaml_is_no_stack_file(tmp_path: Path) -> None:
    write(tmp_path / "compose.yaml", "name: lab\nservices: {}\n")
    write(tmp_path / "secrets.yaml", "users: {name: x}\n")
    write(tmp_path / "nested.yaml", "all:\n  name: lab\n  connections: 10\n")
    (tmp_path / "binary.yaml").write_bytes(b"name: lab\nconnections: 1\n\0")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "none")
    assert stack_files(tmp_path) == {}
    assert stack_files(tmp_path / "none") == {}


def test_a_wrong_value_does_not_hide_a_stack_file(tmp_path: Path) -> None:
    write(tmp_path / "stack.yaml", "name: lab\nconnections: many\nunknown: 1\n")
    assert stack_files(tmp_path) == {tmp_path / "stack.yaml": "lab"}
