"""The wheel, away from the checkout: complete, without secrets, enough without an engine."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "src", "images", "stack")
"""What the wheel is made from."""

DECOY = "00112233445566778899aabbccddeeff"


def run(*argv: str | Path, cwd: Path) -> str:
    """A command's output; it must succeed."""
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        # Nothing of the developer's own environment: an operator has none of it.
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "NO_COLOR": "1", "LANG": "C.UTF-8"},
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the checkout in which a developer has left secrets lying about."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        source, target = CHECKOUT / part, copy / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for folder in ("stack", "images/telemt-lab", "src/stackctl"):
        (copy / folder / "secrets.yaml").write_text(f"users: {{left: {DECOY}}}\n")
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    run(*pip, "--no-deps", "--no-index", "--no-build-isolation", "-w", out, copy, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stackctl command of a new environment; only the dependencies are shared with this one."""
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin/python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    (packages,) = home.glob("lib/python*/site-packages")
    # A path added this way is searched, but its own .pth files, this checkout's too, are not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    origin = run(python, "-c", "import stackctl; print(stackctl.__file__)", cwd=home)
    assert Path(origin.strip()).is_relative_to(packages)
    return home / "bin/stackctl"


def test_it_holds_every_file_of_the_package_the_images_and_the_stacks(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"{inside}/{path.relative_to(CHECKOUT / folder)}"
        for folder, inside in (
            ("src/stackctl", "stackctl"),
            ("images", "stackctl/_images"),
            ("stack", "stackctl/_stack"),
        )
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not path.match("secrets*.y*ml")
        and not any(part.startswith(".") for part in path.relative_to(CHECKOUT).parts)
    }
    assert wanted <= names
    assert {
        "stackctl/schema/stack.schema.json",
        "stackctl/py.typed",
        "stackctl/render/templates/compose.yaml.j2",
        "stackctl/_images/collector/Dockerfile",
        "stackctl/_stack/lab.yaml",
    } <= names


def test_it_holds_no_secret_and_nothing_else(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        assert DECOY.encode() not in archive.read(name), name
        assert name.startswith(("stackctl/", "stackctl-")), name
        assert "secrets.yaml" not in name


def test_scripts_of_the_images_stay_executable(wheel: Path) -> None:
    script = zipfile.ZipFile(wheel).getinfo("stackctl/_images/base/build")
    assert bool(script.external_attr >> 16 & stat.S_IXUSR) == bool(
        (CHECKOUT / "images/base/build").stat().st_mode & stat.S_IXUSR
    )


def test_it_makes_plans_and_renders_a_stack_from_anywhere(installed: Path, tmp_path: Path) -> None:
    assert run(installed, "--version", cwd=tmp_path).startswith("stackctl ")
    run(installed, "init", "mine", "--name", "mine", "--connections", "3000", cwd=tmp_path)
    folder = tmp_path / "mine"
    secrets = folder / "secrets.yaml"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600

    planned = json.loads(run(installed, "plan", "-f", "mine/stack.yaml", "--json", cwd=tmp_path))
    assert (planned["name"], planned["connections"]) == ("mine", 3000)

    run(installed, "render", "-f", "mine/stack.yaml", "-o", "out", cwd=tmp_path)
    out = tmp_path / "out"
    compose = yaml.safe_load((out / "compose.yaml").read_text())
    assert set(compose["services"]) == {"haproxy", "telemt-1", "telemt-2"}
    assert "maxconn 3064" in (out / "haproxy/haproxy.cfg").read_text()
    assert (out / "telemt/telemt-2/telemt.toml").is_file()
    assert list((out / "host").rglob("*.conf"))
    (secret,) = yaml.safe_load(secrets.read_text())["users"].values()
    assert secret in (out / "secrets/telemt/users.toml").read_text()


def test_the_installed_package_finds_the_images_it_builds(installed: Path, tmp_path: Path) -> None:
    code = "from stackctl.engine.images.context import images_root; print(images_root())"
    found = Path(run(installed.parent / "python", "-c", code, cwd=tmp_path).strip())
    assert found.is_relative_to(installed.parents[1])
    assert {"base", "haproxy", "collector", "lab-dc", "telemt", "telemt-lab"} <= {
        p.name for p in found.iterdir()
    }


def test_the_installed_package_gives_the_collector_its_program(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "from stackctl.engine.images import collector_files;"
        "print(*collector_files().values(), sep='\\n')"
    )
    found = run(installed.parent / "python", "-c", code, cwd=tmp_path).splitlines()
    assert {Path(line).name for line in found} >= {
        "__init__.py",
        "__main__.py",
        "attempt.py",
        "model.py",
    }
    assert all(Path(line).is_relative_to(installed.parents[1]) for line in found)
