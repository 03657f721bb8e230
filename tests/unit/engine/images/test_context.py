"""Build contexts: which files count, and what changes a hash."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stackctl.engine.images import ImageBuildError, collector_files, content_hash, images_root
from stackctl.engine.images.context import ContextFile, context_files, context_tar, digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "thing"
    (root / "sub").mkdir(parents=True)
    (root / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    (root / "sub" / "tool").write_text("#!/bin/sh\n")
    (root / "sub" / "tool").chmod(0o755)
    return root


def test_hash_ignores_times_umask_and_byte_code(folder: Path) -> None:
    before = content_hash(folder)
    os.utime(folder / "Dockerfile", (1, 1))
    (folder / "Dockerfile").chmod(0o640)
    (folder / "sub" / "__pycache__").mkdir()
    (folder / "sub" / "__pycache__" / "tool.cpython-311.pyc").write_bytes(b"\0")
    (folder / "stray.pyc").write_bytes(b"\0")
    assert content_hash(folder) == before


def test_hash_sees_content_names_and_the_executable_bit(folder: Path) -> None:
    seen = {content_hash(folder)}
    (folder / "sub" / "tool").write_text("#!/bin/bash\n")
    seen.add(content_hash(folder))
    (folder / "sub" / "tool").chmod(0o644)
    seen.add(content_hash(folder))
    (folder / "sub" / "tool").rename(folder / "sub" / "tool2")
    seen.add(content_hash(folder))
    assert len(seen) == 4


def test_hash_does_not_run_names_and_contents_together() -> None:
    one = [ContextFile("a", 0o644, b"bc")]
    other = [ContextFile("ab", 0o644, b"c")]
    assert digest(one) != digest(other)
    assert digest(one, "x", "y") != digest(one, "xy")


def test_a_missing_folder_or_file_is_an_error_with_a_remedy(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ImageBuildError, match="no image folder") as missing:
        content_hash(tmp_path / "nowhere")
    assert missing.value.remedy
    with pytest.raises(ImageBuildError, match="No such file"):
        context_files(folder, {"telemt": tmp_path / "absent"})


def test_extra_files_join_the_context_executable(folder: Path, tmp_path: Path) -> None:
    binary = tmp_path / "downloaded"
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o600)
    files = context_files(folder, {"telemt": binary})
    assert ContextFile("telemt", 0o755, b"\x7fELF") in files
    assert [file.name for file in files] == ["Dockerfile", "sub/tool", "telemt"]


def test_context_tar_is_the_same_bytes_each_time(folder: Path) -> None:
    first = context_tar(context_files(folder))
    os.utime(folder / "Dockerfile", (5, 5))
    assert context_tar(context_files(folder)) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert [(m.name, m.mode, m.mtime, m.uid) for m in tar] == [
            ("Dockerfile", 0o644, 0, 0),
            ("sub/tool", 0o755, 0, 0),
        ]


@pytest.mark.parametrize("name", ["base", "haproxy", "telemt"])
def test_the_folders_that_ship_are_found(name: str) -> None:
    assert len(content_hash(images_root() / name)) == 16


def test_the_collector_stands_alone_in_its_image(tmp_path: Path) -> None:
    """Nothing of stackctl is beside it but the client of MTProto, and nothing of it is left out."""
    for file in context_files(images_root() / "collector", collector_files()):
        if file.name.startswith("stackctl/"):
            (tmp_path / file.name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.name).write_bytes(file.data)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from pathlib import Path; from importlib import import_module; "
        "names = [f'stackctl.{p.parent.name}.{p.stem}' for p in "
        "Path(sys.argv[1]).glob('stackctl/*/*.py') if p.stem != '__main__']; "
        "modules = [import_module(name) for name in names]; "
        "print(len(names), *{str(Path(m.__file__).parents[2]) for m in modules})"
    )
    # -I and no editable path hook of the checkout: as in the image.
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, tmp_path], capture_output=True, text=True, check=True
    )
    count, *roots = done.stdout.split()
    assert int(count) > 30
    assert roots == [str(tmp_path)]


def test_a_changed_program_is_another_image() -> None:
    folder = images_root() / "collector"
    without = context_files(folder)
    assert digest(context_files(folder, collector_files())) != digest(without)
    wanted = {f"stackctl/mtproto/{name}.py" for name in ("__init__", "attempt", "model")}
    assert wanted | {"stackctl/collector/__main__.py"} <= set(collector_files())
