"""Build contexts: their files, their hash, and the tar sent to the engine. It only reads files."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from stackctl.engine.images.errors import ImageBuildError

_REINSTALL = "install stackctl again from its wheel or checkout"


@dataclass(frozen=True, slots=True)
class ContextFile:
    """One file of a build context: posix name below the folder, mode 0o755 or 0o644, bytes."""

    name: str
    mode: int
    data: bytes


def images_root() -> Path:
    """The folder with one subfolder per image: in the installed package, else in the checkout.

    Raises:
        ImageBuildError: neither is there.
    """
    checkout = Path(__file__).resolve().parents[4] / "images"
    for candidate in (Path(str(resources.files("stackctl"))) / "_images", checkout):
        if candidate.is_dir():
            return candidate
    raise ImageBuildError("the image folders are not part of this installation", _REINSTALL)


def collector_files() -> dict[str, Path]:
    """The packages that the collector's image gets a copy of: name in the context, file on disk.

    `stackctl/collector` is the program, `stackctl/mtproto` the client it shakes hands with. Inside
    the image they stand under the same names as here.

    Raises:
        ImageBuildError: this installation has no copy of them.
    """
    root = Path(str(resources.files("stackctl")))
    files = {"stackctl/__init__.py": root / "__init__.py"}
    for package in ("collector", "mtproto"):
        paths = sorted((root / package).glob("*.py"))
        if not paths:
            raise ImageBuildError(f"{root / package}: not part of this installation", _REINSTALL)
        files |= {f"stackctl/{package}/{path.name}": path for path in paths}
    return files


def context_files(
    folder: Path, extra_files: Mapping[str, Path] | None = None
) -> tuple[ContextFile, ...]:
    """All files of `folder` and `extra_files` (name in the context: file on disk), by name.

    Byte code is left out. Only the owner's executable bit of the mode counts, so that umask and
    checkout do not change a hash. Extra files are programs, so they are always executable.

    Raises:
        ImageBuildError: the folder is missing or empty, or a file cannot be read.
    """
    try:
        files = {
            path.relative_to(folder).as_posix(): ContextFile(
                path.relative_to(folder).as_posix(),
                0o755 if path.stat().st_mode & 0o100 else 0o644,
                path.read_bytes(),
            )
            for path in folder.rglob("*")
            if path.is_file() and not _is_byte_code(path.relative_to(folder))
        }
        if not files:
            raise ImageBuildError(f"{folder}: no image folder, or an empty one", _REINSTALL)
        for name, path in (extra_files or {}).items():
            files[name] = ContextFile(name, 0o755, path.read_bytes())
    except OSError as error:
        raise ImageBuildError(
            f"{error.filename}: {error.strerror}", "check the path and its permissions"
        ) from error
    return tuple(files[name] for name in sorted(files))


def content_hash(folder: Path) -> str:
    """16 hex digits over names, executable bits and contents of the folder's files."""
    return digest(context_files(folder))


def digest(files: Iterable[ContextFile], *salt: str) -> str:
    """16 hex digits over the files in the order given, and over the other inputs of the build."""
    sha = hashlib.sha256()
    # Lengths first, so that no two different inputs give the same stream.
    for part in salt:
        sha.update(f"{len(part)}:{part}".encode())
    for file in files:
        sha.update(f"{len(file.name)}:{file.name}:{file.mode:o}:{len(file.data)}:".encode())
        sha.update(file.data)
    return sha.hexdigest()[:16]


def context_tar(files: Iterable[ContextFile]) -> bytes:
    """The context as a tar: the same bytes on every machine and at every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            info = tarfile.TarInfo(file.name)
            info.size, info.mode, info.mtime = len(file.data), file.mode, 0
            tar.addfile(info, io.BytesIO(file.data))
    return buffer.getvalue()


def _is_byte_code(path: Path) -> bool:
    return path.suffix == ".pyc" or "__pycache__" in path.parts
