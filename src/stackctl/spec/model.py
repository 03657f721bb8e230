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

_DIGEST_WORDS = "Digest of the official image. A tag can move to another image, a digest cannot."
_DIGEST_EXAMPLE = "sha256:" + "0123456789abcdef" * 4


class Haproxy(Part):
    """Where HAProxy comes from."""

    source: Annotated[Literal["auto", "official", "build"], one_of("auto", "official", "build")] = (
        Field(
            default="auto",
            description="official: Docker's official image. build: an image made here from "
            "Debian's packages. auto: the official image where it can be pulled, else build.",
            examples=["official"],
        )
    )
    version: Annotated[str, TAG] = Field(
        default="3.0",
        description="HAProxy's version, as the image's tag spells it. Write it in quotes: without "
        "quotes YAML reads a fraction.",
        examples=["3.0"],
    )
    digest: Annotated[str, DIGEST] = Field(
        default=as_written(None),
        description=_DIGEST_WORDS,
        examples=[_DIGEST_EXAMPLE],
    )


class Telemt(Part):
    """Where Telemt comes from, and what its users see."""

    source: Annotated[
        Literal["auto", "official", "binary", "double"],
        one_of("auto", "official", "binary", "double"),
    ] = Field(
        default="auto",
        description="official: Telemt's official image. binary: an executable of yours. double: a "
        "stand-in for Telemt in labs and tests. auto: the official image where it can be pulled, "
        "else the double.",
        examples=["official"],
    )
    binary: Annotated[str, BINARY] = Field(
        default=as_written(None),
        description="Your Telemt executable, relative to this file. Only with source: binary.",
        examples=["./telemt"],
    )
    version: Annotated[str, TAG] = Field(
        default="3.4.25",
        description="Telemt's version, as the image's tag spells it.",
        examples=["3.4.25"],
    )
    digest: Annotated[str, DIGEST] = Field(
        default=as_written(None),
        description=_DIGEST_WORDS,
        examples=[_DIGEST_EXAMPLE],
    )
    domain: Annotated[str, DOMAIN] = Field(
        default="www.example.com",
        description="The site that fake TLS pretends to be. It is part of every link: choose a "
        "site that speaks TLS 1.3 before anyone gets a link.",
        examples=["www.example.com"],
    )
    public_host: Annotated[str, HOST] = Field(
        default="127.0.0.1",
        description="IP address or DNS name that clients connect to. It is part of every link; "
        "127.0.0.1 serves this machine alone.",
        examples=["proxy.example.com"],
    )
    public_port: Annotated[int, PUBLIC_PORT] = Field(
        default=as_written(None),
        description="Port in the links, where it is not the port of `listen`.",
        examples=[443],
    )
    middle_proxy: Annotated[bool, TRUTH] = Field(
        default=False,
        description="Whether Telemt goes through Telegram's middle proxies (use_middle_proxy).",
        examples=[True],
    )
    modes: Annotated[tuple[str, ...], some_of("classic", "secure", "tls")] = Field(
        default=as_written(["secure", "tls"]),
        description="Modes that clients may use. classic: bare secret. secure: secret with dd. "
        "tls: fake TLS, secret with ee.",
        examples=[["tls"]],
    )
    datacentre: Annotated[Literal["telegram", "lab"], one_of("telegram", "lab")] = Field(
        default="telegram",
        description="telegram: Telegram's data centres. lab: a stand-in inside the stack, which "
        "proves the whole path without the internet; it serves no user.",
        examples=["lab"],
    )
    mask: Annotated[Mask, MASK] = Field(
        default=as_written("auto"),
        description="Fallback site: connections that are not MTProto are passed on to it. auto: "
        "the site of `domain` (with datacentre: lab, the lab's own site). off: such connections "
        "are closed. Otherwise HOST or HOST:PORT.",
        examples=["site.example.com:443"],
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
    """What host preparation sets on processors and network cards. The default is nothing.

    The cards are those that carry a default route. Where a bond, VLAN or bridge carries it, they
    are its ports.
    """

    governor: Annotated[str, GOVERNOR] = Field(
        default="keep",
        description="CPU frequency governor of every CPU: a word of scaling_available_governors, "
        "or keep.",
        examples=["performance"],
    )
    rps: Annotated[Literal["keep", "spread", "off"], one_of("keep", "spread", "off")] = Field(
        default="keep",
        description="Receive packet steering. spread: every CPU takes packets from every receive "
        "queue; for cards with fewer queues than CPUs. off: only the CPU that gets the interrupt "
        "takes them.",
        examples=["spread"],
    )
    rfs: Annotated[int, power_of_two(256, 1 << 26)] = Field(
        default=0,
        description="Receive flow steering: the number of flows remembered, so that a packet is "
        "handled on the CPU that reads it. A power of two, or 0 to keep what the host has.",
        examples=[32768],
    )
    xps: Annotated[Literal["keep", "spread"], one_of("keep", "spread")] = Field(
        default="keep",
        description="Transmit packet steering. spread: each CPU sends through a queue of its own.",
        examples=["spread"],
    )
    rings: Annotated[Literal["keep", "max"], one_of("keep", "max")] = Field(
        default="keep",
        description="Ring size of each queue. max: the card's maximum; this needs ethtool on the "
        "server and may stop the card for a moment.",
        examples=["max"],
    )
    irq: Annotated[Literal["keep", "spread"], one_of("keep", "spread")] = Field(
        default="keep",
        description="Interrupts of the queues. spread: one CPU for each, around the card's NUMA "
        "node; nothing is set where irqbalance runs.",
        examples=["spread"],
    )


class PerAddress(Part):
    """What one client address may do, counted by HAProxy in front of all replicas."""

    connections: Annotated[int, whole(0, 10_000_000)] = Field(
        default=0,
        description="Connections that one address may hold at once. 0: no bound.",
        examples=[5000],
    )
    rate: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0,
        description="New connections that one address may open in 10 seconds. 0: no bound.",
        examples=[10000],
    )


class PerUser(Part):
    """What one user may do, counted by each Telemt on its own."""

    connections: Annotated[int, whole(0, 10_000_000)] = Field(
        default=0,
        description="Connections that one user may hold at once. 0: no bound.",
        examples=[1000],
    )
    addresses: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0,
        description="Addresses that one user may connect from at once. 0: no bound.",
        examples=[20],
    )
    quota_mib: Annotated[int, whole(0, 1 << 40)] = Field(
        default=0,
        description="MiB that one user may move, both directions together, until the quota is "
        "reset. 0: no bound.",
        examples=[102400],
    )


class Stack(Part):
    """A stack file with every default filled in. Counts are whole numbers, ports are TCP ports.

    Attributes:
        threads: of HAProxy; 0 where they follow from `connections`.
        subnet: of the bridge; empty where it is chosen.
    """

    name: Annotated[str, NAME] = Field(
        description="Name of the stack. Its containers, networks and volumes carry it.",
        examples=["lab"],
    )
    connections: Annotated[int, whole(1, 10_000_000)] = Field(
        description="Clients that the stack carries at once. Descriptors, ports, queues and memory "
        "are sized from this number.",
        examples=[8000],
    )
    replicas: Annotated[int, whole(1, 200)] = Field(
        default=1,
        description="Telemt processes. If one is lost, the others carry its clients.",
        examples=[2],
    )
    network: Annotated[Literal["bridge", "host"], one_of("bridge", "host")] = Field(
        default="bridge",
        description="bridge: the stack has a network of its own. host: the stack uses the "
        "machine's network, without NAT and without a userland proxy, for the highest loads.",
        examples=["host"],
    )
    link: Annotated[Literal["unix", "tcp"], one_of("unix", "tcp")] = Field(
        default="unix",
        description="How HAProxy reaches the replicas. unix: by a unix socket, which takes no "
        "source port and no conntrack entry. tcp: see link_ports and port_share.",
        examples=["tcp"],
    )
    link_ports: Annotated[int, whole(0, MOST_LINK_PORTS)] = Field(
        default=0,
        description="With link: tcp, the number of ports that each replica listens on. HAProxy has "
        "a whole range of source ports towards each of them. 0: as many as port_share asks for.",
        examples=[4],
    )
    port_share: Annotated[int, whole(1, 100)] = Field(
        default=45,
        description="With link: tcp, the percentage of source ports towards a replica that may be "
        "in use. Above 45, connect() searches long for a free port. A plan that needs a larger "
        "share fails.",
        examples=[30],
    )
    listen: Annotated[Address, ADDRESS] = Field(
        default=as_written(8443),
        description="Port for clients, or ADDRESS:PORT.",
        examples=["192.0.2.1:443"],
    )
    balance: Annotated[Literal["source", "leastconn"], one_of("source", "leastconn")] = Field(
        default="source",
        description="source: a client's address stays on one replica. leastconn: a client goes to "
        "the replica with the fewest connections; for many clients behind one NAT.",
        examples=["leastconn"],
    )
    buffers: Annotated[Literal["throughput", "density"], one_of("throughput", "density")] = Field(
        default="throughput",
        description="throughput: socket buffers grow to the guide's 16 MB, so that one fast client "
        "is fast. density: they are bounded, so that clients which stop reading cost little "
        "memory; `stackctl plan` shows the speed that is left.",
        examples=["density"],
    )
    splice: Annotated[Literal["off", "auto"], one_of("off", "auto")] = Field(
        default="off",
        description="With link: tcp. auto: the kernel moves long transfers from socket to socket, "
        "with a pipe (two descriptors) for every fourth connection. off: HAProxy copies all data.",
        examples=["auto"],
    )
    metrics: Annotated[Address | None, METRICS] = Field(
        default=as_written("off"),
        description="Where Prometheus reads metrics: PORT (on 127.0.0.1), ADDRESS:PORT, or off. "
        "HAProxy's metrics are at /metrics, each replica's at /telemt-N/metrics.",
        examples=[9102],
    )
    per_address: PerAddress = Field(
        default=as_written({}),
        description="What one client address may do, counted by HAProxy in front of all replicas. "
        "Many people can share an address (a carrier's or an office's): allow for the largest "
        "group.",
        examples=[{"connections": 5000, "rate": 10000}],
    )
    per_user: PerUser = Field(
        default=as_written({}),
        description="What one user may do, counted by each Telemt on its own. With balance: "
        "leastconn the plan divides these numbers by the replicas, and a warning says what that "
        "means.",
        examples=[{"connections": 1000, "addresses": 20, "quota_mib": 102400}],
    )
    threads: Annotated[int, whole(0, 64)] = Field(
        default=0,
        description="HAProxy's threads. 0: the number follows from `connections`.",
        examples=[4],
    )
    subnet: Annotated[str, SUBNET] = Field(
        default="auto",
        description="IPv4 network of the bridge, or auto. Only with network: bridge.",
        examples=["10.89.0.0/24"],
    )
    limits: Annotated[Limits, LIMITS] = Field(
        default=as_written({"mode": "fit"}),
        description="What happens where a limit cannot be granted, and limits with a value of your "
        "own.",
        examples=[{"mode": "strict"}],
    )
    host: Host = Field(
        default=as_written({}),
        description="Processors and network cards of the server. Without these keys `host check` "
        "shows figures and advises, and `host apply` leaves them alone. With them `host apply` "
        "sets what they ask for, now and at every boot.",
        examples=[{"governor": "performance", "rps": "spread"}],
    )
    haproxy: Haproxy = Field(
        default=as_written({}),
        description="Where HAProxy comes from.",
        examples=[{"source": "official"}],
    )
    telemt: Telemt = Field(
        default=as_written({}),
        description="Where Telemt comes from, and what its users see.",
        examples=[{"source": "official", "public_host": "proxy.example.com"}],
    )
    secrets: Annotated[str, PATH] = Field(
        default="secrets.yaml",
        description="File with the users' secrets, relative to this file. Keep it at mode 0600, "
        "and never commit it.",
        examples=["secrets.yaml"],
    )

    _source_dir: Path = PrivateAttr(default=Path())
    _source_file: Path = PrivateAttr(default=Path("stack.yaml"))

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
            # The model is frozen for everyone else. This is the last step of filling in the
            # defaults.
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
    def source_file(self) -> Path:
        """The stack file, as the operator named it."""
        return self._source_file

    @property
    def secrets_path(self) -> Path:
        """The secrets file."""
        return self.source_dir / self.secrets

    @property
    def binary_path(self) -> Path:
        """The operator's Telemt executable; meaningful with `telemt.source: binary` only."""
        return self.source_dir / self.telemt.binary
