"""The real prepare.sh on a host that is a folder: its /proc/sys, /etc and units are files."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stackctl.limits import TABLE, Compare, Kind, Limit, Place, Role
from stackctl.plan import make_plan
from stackctl.render.host import host_files
from stackctl.spec import Stack

FAKES = Path(__file__).parent / "fakes"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}
DEFAULTS = {
    "fs.file-max": "9223372036854775807",
    "fs.nr_open": "1048576",
    "net.core.somaxconn": "4096",
    "net.core.netdev_max_backlog": "1000",
    "net.ipv4.tcp_max_syn_backlog": "1024",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_tw_reuse": "2",
    "net.ipv4.tcp_max_tw_buckets": "131072",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_keepalive_intvl": "75",
    "net.ipv4.tcp_keepalive_probes": "9",
    "net.core.rmem_default": "212992",
    "net.core.wmem_default": "212992",
    "net.core.rmem_max": "212992",
    "net.core.wmem_max": "212992",
    "net.ipv4.tcp_rmem": "4096\t131072\t33554432",
    "net.ipv4.tcp_wmem": "4096\t16384\t4194304",
    "net.core.default_qdisc": "pfifo_fast",
    "net.ipv4.tcp_congestion_control": "cubic",
}
"""What a Debian 13 kernel starts with. A file holds the tabs that the kernel prints."""


def too_low(row: Limit) -> str:
    """A value that is short of what the row wants, for a key that DEFAULTS does not have."""
    match row.wanted:
        case int(number) if row.kind is Kind.FLAG:
            return str(1 - number)
        case int(number):
            return str(number * 2 if row.compare is Compare.AT_MOST else number // 2)
        case tuple(numbers):
            return "\t".join(str(number // 2) for number in numbers)
    raise AssertionError(f"{row.key}: give the kernel's default in DEFAULTS of {__file__}")


def sysctls() -> dict[str, str]:
    """Every sysctl of the table with its value on a fresh host; modules bring theirs later."""
    brought = {line.split()[0] for keys in MODULES.values() for line in keys.splitlines()}
    wanted = {
        setting.where: row
        for row in TABLE.values()
        for setting in row.settings
        if setting.place is Place.SYSCTL_D and setting.where not in {*DEFAULTS, *brought}
    }
    return {**DEFAULTS, **{key: too_low(row) for key, row in wanted.items()}}


ROWS = frozenset(
    {
        "fs.file-max",
        "fs.nr_open",
        "login.nofile",
        "engine.nofile",
        "net.core.somaxconn",
        "net.core.netdev_max_backlog",
        "net.core.rmem_max",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.core.default_qdisc",
        "net.netfilter.nf_conntrack_max",
    }
)
"""Rows of every kind. Most tests use a stack that asks for these alone, for speed."""

MODULES = {
    "sch_fq": "",
    "tcp_bbr": "",
    "nf_conntrack": "net.netfilter.nf_conntrack_max 262144\n"
    "net.netfilter.nf_conntrack_buckets 262144\n"
    "net.netfilter.nf_conntrack_tcp_timeout_established 432000\n"
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait 120\n",
}
STACK: dict[str, object] = {
    "name": "edge",
    "connections": 250000,
    "replicas": 8,
    "network": "host",
    "limits": {"mode": "strict"},
}
PIDS = {"docker.service": ("dockerd", 500), "containerd.service": ("containerd", 400)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    verdict: str
    wanted: str
    got: str
    depth: str
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of prepare.sh said: its exit status, standard error, and its report by key."""

    code: int
    err: str
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)

    def unmet(self) -> list[str]:
        """The rows that are not in force, each with what was seen."""
        return [
            f"{key}: {f.verdict}, wanted {f.wanted}, got {f.got}: {f.evidence}"
            for key, f in self.findings.items()
            if f.verdict not in {"ok", "kept"}
        ]

    def keys(self, *verdicts: str) -> set[str]:
        """The rows with one of these verdicts."""
        return {key for key, finding in self.findings.items() if finding.verdict in verdicts}


Tree = dict[str, tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Host:
    """A tree that stands for a machine."""

    root: Path
    shell: list[str]
    rendered: Path
    rows: frozenset[str] | None = ROWS

    def path(self, path: str) -> Path:
        """A path of the host, below the tree."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Puts a file there, with the folders it needs."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def sysctl(self, key: str, value: str | None = None) -> str:
        """A running value; set first if one is given."""
        file = self.path("proc/sys/" + key.replace(".", "/"))
        if value is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(value + "\n")
        return " ".join(file.read_text().split())

    def boot(self, stack: str = "edge") -> dict[str, str]:
        """What the stack's sysctl.d file says."""
        text = self.path(f"etc/sysctl.d/99-zz-stackctl-{stack}.conf").read_text()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return dict(line.split(" = ") for line in lines)

    def tree(self, *, mtimes: bool = False) -> Tree:
        """Every path with its kind, mode and content; proc/sys as the kernel prints it."""
        made = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            info = path.lstat()
            if path.is_symlink():
                content = f"-> {path.readlink()}"
            elif path.is_file():
                content = path.read_text()
                if name.startswith("proc/"):
                    content = " ".join(content.split())
                if mtimes:
                    content += f" at {info.st_mtime_ns}"
            else:
                content = "folder"
            made[name] = (stat.filemode(info.st_mode), info.st_mode, content)
        return made

    def render(self, name: str = "edge", **limits: object) -> Path:
        """The host/ folder of a stack; beside it the compose.yaml its unit starts."""
        asked = {**STACK, "name": name, "limits": {"mode": "strict", **limits}}
        plan = make_plan(Stack.model_validate(asked))
        folder = self.rendered / name
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in host_files(plan).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        (folder / "compose.yaml").write_text("")
        if self.rows is not None:
            _trim(folder / "host", self.rows)
        return folder / "host"

    def wanted(self, stack: str = "edge") -> set[str]:
        """The rows of the limits table that the rendered stack requires of a host."""
        plan = make_plan(Stack.model_validate(STACK | {"name": stack}))
        return {one.limit for one in plan.requirements if one.target == Role.HOST}

    def run(
        self, *words: str, stack: str = "edge", prefix: tuple[str, ...] = (), **env: str
    ) -> Outcome:
        """prepare.sh with these words, in the stack's folder as it was rendered last."""
        script = self.rendered / stack / "host" / "prepare.sh"
        if not script.exists():
            self.render(stack)
        path = f"{env.pop('before', '')}:{FAKES}:{os.environ['PATH']}".lstrip(":")
        with subprocess.Popen(
            [*prefix, *self.shell, str(script), "--porcelain", *words],
            env={**os.environ, "STACKCTL_HOST_ROOT": str(self.root), "PATH": path, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            out, err = process.communicate(timeout=60)
        return _outcome(process.returncode, out, err)


def _trim(folder: Path, rows: frozenset[str]) -> None:
    table = folder / "limits.tsv"
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    kept = [line for line in lines if line[0] in {"stack", "end"} or line[1] in rows]
    table.write_text("".join("\t".join(line) + "\n" for line in kept))
    (file,) = folder.glob("etc/sysctl.d/*")
    text = file.read_text().splitlines(keepends=True)
    keys = tuple(f"{key} = " for key in rows)
    file.write_text("".join(line for line in text if line.startswith(keys)))


def _outcome(code: int, out: str, err: str) -> Outcome:
    lines = [line.split("\t") for line in out.splitlines()]
    if code in {0, 1}:
        assert lines[-1] == ["end", str(code)], (out, err)
    if code != -signal.SIGKILL:
        assert {line[0] for line in lines} <= {"change", "note", "advice", "finding", "end"}, out
    findings = {line[2]: Finding(line[1], *line[3:]) for line in lines if line[0] == "finding"}
    return Outcome(
        code,
        err,
        [line[1] for line in lines if line[0] == "change"],
        [line[1] for line in lines if line[0] == "note"],
        findings,
    )


def fresh_host(root: Path, shell: str, rows: frozenset[str] | None = ROWS) -> Host:
    """A machine as it was installed: Docker runs, nothing is tuned, no module is loaded."""
    host = Host(root / "host", SHELLS[shell], root / "rendered", rows)
    for key, value in sysctls().items():
        host.sysctl(key, value)
    for module, keys in MODULES.items():
        host.write(f"lib/modules/{module}.keys", keys)
    for folder in ("etc/sysctl.d", "etc/modules-load.d", "etc/security/limits.d", "var/lib"):
        host.path(folder).mkdir(parents=True)
    for folder in ("run/systemd/system", "etc/systemd/system", "sys/module", "usr/lib/sysctl.d"):
        host.path(folder).mkdir(parents=True)
    for unit, (comm, pid) in PIDS.items():
        host.write(
            f"usr/lib/systemd/system/{unit}",
            f"[Service]\nLimitNOFILE=524288\nLimitNPROC=infinity\nTasksMax=4915\nMainPID={pid}\n",
        )
        host.write(f"proc/{pid}/comm", comm + "\n")
        host.write(
            f"proc/{pid}/limits",
            "Max processes unlimited unlimited processes\nMax open files 1024 524288 files\n",
        )
        host.write(f"proc/{pid}/cgroup", f"0::/system.slice/{unit}\n")
        host.write(f"sys/fs/cgroup/system.slice/{unit}/pids.max", "max\n")
    return host


@pytest.fixture(params=list(SHELLS))
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    """A fresh host, whose script runs in each of the shells."""
    return fresh_host(tmp_path, request.param)


@pytest.fixture(params=list(SHELLS))
def full(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    """The same, with a stack that asks for every row."""
    return fresh_host(tmp_path, request.param, None)


@pytest.fixture
def dash(tmp_path: Path) -> Host:
    """A fresh host, whose script runs in dash."""
    return fresh_host(tmp_path, "dash")
