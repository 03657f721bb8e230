"""Write rendered files to disk: whole or not at all, and never over files of others."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from stackctl.errors import OutputError
from stackctl.render import File

MANIFEST = ".stackctl-files.json"
"""Lists what a render wrote; a folder without it is not ours."""


def write_tree(folder: Path, files: Mapping[str, File], modes: Mapping[str, int]) -> frozenset[str]:
    """Make `folder` hold exactly `files`, beside files that others put there.

    A new folder appears whole, by one rename. In a folder that was rendered before, a rename
    replaces each file, and files that are no longer rendered are removed. The folders themselves
    stay, because running containers mount them.

    Args:
        folder: where to write.
        files: by path relative to it.
        modes: directory modes other than 0755, by relative path.

    Returns:
        relative paths that are new, changed or gone.

    Raises:
        OutputError: the folder was not rendered by stackctl, or cannot be written.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is not a folder", "give another with -o")
        before = _manifest(folder)
        if before is None and folder.exists() and any(folder.iterdir()):
            raise OutputError(
                f"{folder} is not empty and was not rendered by stackctl",
                "give an empty or new folder with -o; nothing was overwritten",
            )
        if before is None:
            _write_new(folder, files, modes)
            return frozenset(files)
        return _update(folder, files, modes, before)
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder}: {error.strerror}",
            "make room or correct the permissions, then run the command again: it continues where "
            "it stopped",
        ) from error


def _manifest(folder: Path) -> tuple[str, ...] | None:
    try:
        listed = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(_ours(name) for name in listed):
        raise OutputError(
            f"{folder / MANIFEST} is damaged", f"remove {folder} and run the command again"
        )
    return tuple(listed)


def _ours(name: object) -> bool:
    """Whether a manifest's entry can be a file of ours: a path that stays inside the folder."""
    if not isinstance(name, str) or not name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _manifest_text(files: Mapping[str, File]) -> str:
    return json.dumps(sorted(files), indent=1) + "\n"


def _write_new(folder: Path, files: Mapping[str, File], modes: Mapping[str, int]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for path, file in files.items():
            _folders(staging, path, modes)
            _put(staging / path, file)
        _put(staging / MANIFEST, File(_manifest_text(files)))
        staging.chmod(0o755)
        # rename() replaces an empty folder and fails on any other: nothing can be lost.
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _update(
    folder: Path,
    files: Mapping[str, File],
    modes: Mapping[str, int],
    before: tuple[str, ...],
) -> frozenset[str]:
    changed = {path for path, file in files.items() if not _same(folder / path, file)}
    gone = set(before) - set(files)
    # The manifest is written first: after a crash it lists every file that may be on disk.
    _put(folder / MANIFEST, File(json.dumps(sorted({*before, *files}), indent=1) + "\n"))
    for path in sorted(files):
        _folders(folder, path, modes)
    for path in sorted(changed):
        _put(folder / path, files[path])
    for path in sorted(gone):
        (folder / path).unlink(missing_ok=True)
        _prune(folder, Path(path).parent)
    _put(folder / MANIFEST, File(_manifest_text(files)))
    return frozenset(changed | gone)


def _same(path: Path, file: File) -> bool:
    try:
        return path.read_text() == file.text and path.stat().st_mode & 0o777 == file.mode
    except (OSError, UnicodeDecodeError):
        return False


def _put(path: Path, file: File) -> None:
    """Write a new file beside and rename it: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(file.text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, file.mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _folders(root: Path, path: str, modes: Mapping[str, int]) -> None:
    """Make the folders above a file, each with its mode, whatever the umask is."""
    for parent in reversed(Path(path).parents[:-1]):
        made = root / parent
        if not made.is_dir():
            made.mkdir(mode=0o700)
        mode = modes.get(str(parent), 0o755)
        # An existing folder may have another mode, left by a crash or set by hand.
        if made.stat().st_mode & 0o7777 != mode:
            made.chmod(mode)


def _prune(root: Path, relative: Path) -> None:
    while relative != Path():
        try:
            (root / relative).rmdir()
        except OSError:
            return
        relative = relative.parent
