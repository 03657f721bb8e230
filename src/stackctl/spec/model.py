"""Stack: what an operator asks for, whole and checked. Defaults are filled in here, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from stackctl.spec.limits import LIMITS, Limits
from stackctl.spec.names import (
    ADDRESS,
    BINARY,
    DIGEST,
    DOMAIN,
    GOVERNOR,
    HOST,
    MASK,
    METRICS,
    NAME,
    PATH,
    PUBLIC_PORT,
    SUBNET,
    TAG,
    Address,
    Mask,
)
from stackctl.spec.part import Part, as_written
from stackctl.spec.problem import refused
from stackctl.spec.rule import TRUTH, one_of, power_of_two, some_of, whole

MOST_LINK_PORTS = 64
"""At 45 % of 55,536 ports each, one replica takes 1.6 million connections."""


class Haproxy(Part):
    """Where HAProxy comes from."""

    source: Annotated[Literal["auto", "official", "build"], one_of("auto", "official", "build")] = (
        Field(
            default="auto",
            description="official: Docker's image. build: from Debian's packages. "
            "auto: the official image if it can be pulled, else built.",
        )
    )
    version: Annotated[str, TAG] = Field(
        default="3.0", description="Version, as the image's tag spells it; in quotes."
    )
    digest: Annotated[str, DIGEST] = Field(
        default=as_written(None),
        description="Digest of the official image: a tag can be moved to another image, this not.",
    )


class Telemt(Part):
    """Where Telemt comes from, and what its users see."""

    source: Annotated[
        Literal["auto", "official", "binary", "double"],
        one_of("auto", "official", "binary", "double"),
    ] = Field(
        default="auto",
        description="official: Telemt's image. binary: an executable of yours. double: a stand-in "
        "for labs, which is no Telemt. auto: the official image if it can be pulled, "
        "else the double.",
    )
    binary: Annotated[str, BINARY] = Field(
        default=as_written(None),
        description="The executable, with source: binary only; relative to the stack file.",
    )
    version: Annotated[str, TAG] = Field(
        default="3.4.25", description="Version, as the image's tag spells it."
    )
    digest: Annotated[str, DIGEST] = Field(
        default=as_written(None),
        description="Digest of the official image: a tag can be moved to another image, this not.",
    )
    domain: Annotated[str, DOMAIN] = Field(
        default="www.example.com",
        description="The site that fake TLS pretends to be; part of every link.",
    )
    public_host: Annotated[str, HOST] = Field(
        default="127.0.0.1", description="IP address or DNS name in the links clients are given."
    )
    public_port: Annotated[int, PUBLIC_PORT] = Field(
        default=as_written(None), description="Port in the links; without it the port of `listen`."
    )
    middle_proxy: Annotated[bool, TRUTH] = Field(
        default=False, description="Go through Telegram's middle proxies (use_middle_proxy)."
    )
    modes: Annotated[tuple[str, ...], some_of("classic", "secure", "tls")] = Field(
        default=as_written(["secure", "tls"]),
        description="What clients may speak: classic (bare secret), secure (dd), tls (ee).",
    )
    datacentre: Annotated[Literal["telegram", "lab"], one_of("telegram", "lab")] = Field(
        default="telegram",
        description="telegram: the real ones. lab: a stand-in inside the stack, so that the whole "
        "path runs and is proven without the internet; it serves no user.",
    )
    mask: Annotated[Mask, MASK] = Field(
        default=as_written("auto"),
        description="Where who is no client is passed on to. auto: the site of `domain` (with "
        "datacentre: lab, the lab's own). off: they are closed. Else HOST or HOST:PORT.",
    )

    @model_validator(mode="after")
    def _binary_goes_with_its_source(self) -> Self:
        if self.source == "binary" and not self.binary:
            problem = "is missing, and source is binary"
            raise refused(problem, "give the path of the Telemt executable", "binary")
        if self.source != "binary" and self.binary:
            problem = f"is given, but source is {self.source}"
            raise refused(problem, "set source: binary, or remove this key", "binary")
        if self.datacentre == "lab" and self.middle_proxy:
            problem = "is true, but datacentre is lab, which has no middle proxies"
            raise refused(
                problem, "set middle_proxy: false, or datacentre: telegram", "middle_proxy"
            )
        return self


class Host(Part):
    """What host preparation does about processors and network cards; by default nothing.

    Cards are those that carry a default route, or the ports below such a bond, VLAN or bridge.
    """

    governor: Annotated[str, GOVERNOR] = Field(
        default="keep",
        description="CPU frequency governor of every CPU, as the kernel spells it, or keep.",
        examples=["performance"],
    )
    rps: Annotated[Literal["keep", "spread", "off"], one_of("keep", "spread", "off")] = Field(
        default="keep",
        description="Receive packet steering. spread: every CPU takes from every receive queue.",
    )
    rfs: Annotated[int, power_of_two(256, 1 << 26)] = Field(
        default=0,
        description="Receive flow steering: flows remembered, so that a packet is handled on the "
        "CPU its reader runs on; a power of two, or 0 to keep what the host has.",
        examples=[32768],
    )
    xps: Annotated[Literal["keep", "spread"], one_of("keep", "spread")] = Field(
        default="keep",
        description="Transmit packet steering. spread: each CPU sends through a queue of its own.",
    )
    rings: Annotated[Literal["keep", "max"], one_of("keep", "max")] = Field(
        default="keep",
        description="Descriptors of each queue. max: the card's maximum; needs ethtool there.",
    )
    irq: Annotated[Literal["keep", "spread"], one_of("keep", "spread")] = Field(
        default="keep",
        description="Interrupts of queues. spread: one CPU for each, round the card's NUMA node; "
        "left alone where irqbalance runs.",
    )


class PerAddress(Part):
    """What one client address may do, kept by HAProxy in front of all replicas; 0: no bound.

    Many people can share one address (a carrier's, an office's): mind the largest such crowd.
    """

    connections: Annotated[int, whole(0, 10_000_000)] = Field(
        default=0, description="Connections one address may hold at once.", examples=[5000]
    )
    rate: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0,
        description="New connections one address may open in 10 seconds.",
        examples=[10000],
    )


class PerUser(Part):
    """What one user may do, kept by each Telemt on its own; 0: no bound.

    With `balance: leastconn` the plan divides the numbers by the replicas; see its warnings.
    """

    connections: Annotated[int, whole(0, 10_000_000)] = Field(
        default=0, description="Connections one user may hold at once."
    )
    addresses: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0, description="Addresses one user may come from at once."
    )
    quota_mib: Annotated[int, whole(0, 1 << 40)] = Field(
        default=0, description="MiB one user may move, both ways together, until it is reset."
    )


class Stack(Part):
    """A stack file, every default filled in. Counts are whole numbers, ports are TCP ports.

    Attributes:
        threads: of HAProxy; 0 where they follow from `connections`.
        subnet: of the bridge; empty where it is chosen.
    """

    name: Annotated[str, NAME] = Field(
        description="Name of the stack; its containers and networks carry it.", examples=["lab"]
    )
    connections: Annotated[int, whole(1, 10_000_000)] = Field(
        description="Clients to carry at once; everything else is sized from it.", examples=[8000]
    )
    replicas: Annotated[int, whole(1, 200)] = Field(
        default=1, description="Telemt processes behind HAProxy."
    )
    network: Annotated[Literal["bridge", "host"], one_of("bridge", "host")] = Field(
        default="bridge", description="A network of its own, or the host's."
    )
    link: Annotated[Literal["unix", "tcp"], one_of("unix", "tcp")] = Field(
        default="unix",
        description="How HAProxy reaches the replicas. A unix link has no ports to run out of.",
    )
    link_ports: Annotated[int, whole(0, MOST_LINK_PORTS)] = Field(
        default=0,
        description="With link: tcp, ports that each replica listens on: HAProxy has a whole range "
        "of source ports towards each. 0: as many as port_share asks for.",
    )
    port_share: Annotated[int, whole(1, 100)] = Field(
        default=45,
        description="With link: tcp, percent of the source ports towards a replica that may be "
        "used; above 45 every connect() searches long for a free one. More is refused.",
    )
    listen: Annotated[Address, ADDRESS] = Field(
        default=as_written(8443), description="Port for clients, or ADDRESS:PORT."
    )
    balance: Annotated[Literal["source", "leastconn"], one_of("source", "leastconn")] = Field(
        default="source",
        description="source: a client's address stays on one replica. leastconn: the emptiest.",
    )
    buffers: Annotated[Literal["throughput", "density"], one_of("throughput", "density")] = Field(
        default="throughput",
        description="throughput: sockets grow to the guide's 16 MB, one fast client is fast. "
        "density: bounded, so that clients who stop reading cost little; `stackctl plan` says what "
        "speed that leaves.",
    )
    metrics: Annotated[Address | None, METRICS] = Field(
        default=as_written("off"),
        description="Where Prometheus may read: PORT (of 127.0.0.1), ADDRESS:PORT, or off. "
        "HAProxy's at /metrics, each replica's at /telemt-N/metrics.",
        examples=[9102],
    )
    per_address: PerAddress = Field(
        default=as_written({}), description="What one client address may do; by default anything."
    )
    per_user: PerUser = Field(
        default=as_written({}), description="What one user may do; by default anything."
    )
    threads: Annotated[int, whole(0, 64)] = Field(
        default=0, description="Threads of HAProxy; 0: derived from connections."
    )
    subnet: Annotated[str, SUBNET] = Field(
        default="auto", description="IPv4 network of the bridge, or auto."
    )
    limits: Annotated[Limits, LIMITS] = Field(
        default=as_written({"mode": "fit"}),
        description="The mode, and limits that differ from the guide.",
    )
    host: Host = Field(
        default=as_written({}),
        description="Processors and network cards of the server; by default they are left alone.",
    )
    haproxy: Haproxy = Field(default=as_written({}), description="The balancer.")
    telemt: Telemt = Field(default=as_written({}), description="The proxy.")
    secrets: Annotated[str, PATH] = Field(
        default="secrets.yaml", description="File of user secrets; relative to the stack file."
    )

    _source_dir: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.subnet and self.network == "host":
            remedy = "remove subnet, or set network: bridge"
            raise refused(
                "a stack on the host's network has no network of its own", remedy, "subnet"
            )
        if self.metrics and self.metrics.port == self.listen.port:
            raise refused(
                f"{self.metrics} has the port that clients use", "give another port", "metrics"
            )
        if not self.telemt.public_port:
            # Frozen for everyone else: this is the last step of filling in the defaults.
            port = {"public_port": self.listen.port}
            self.__dict__["telemt"] = self.telemt.model_copy(update=port)
        return self

    @property
    def project(self) -> str:
        """Name of the compose project."""
        return f"stackctl-{self.name}"

    @property
    def source_dir(self) -> Path:
        """Directory of the stack file, absolute where it was loaded from one."""
        return self._source_dir

    @property
    def secrets_path(self) -> Path:
        """The secrets file."""
        return self.source_dir / self.secrets

    @property
    def binary_path(self) -> Path:
        """The operator's Telemt executable; meaningful with `telemt.source: binary` only."""
        return self.source_dir / self.telemt.binary
