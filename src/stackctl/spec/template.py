"""What `stackctl init` writes: an annotated stack file, and a secrets file."""

from __future__ import annotations

_STACK = """\
# yaml-language-server: $schema={schema}
#
# One stack: HAProxy in front of Telemt replicas. `stackctl plan` shows what follows from this file,
# `stackctl up` starts it, `stackctl verify` proves every limit on the live processes.

name: {name}                # containers and networks carry it
connections: {connections}  # clients to carry at once; descriptors, ports and queues follow from it
replicas: {replicas}        # Telemt processes; what each must carry shrinks as they grow

network: bridge          # bridge: a network of its own | host: the machine's, for the highest loads
link: unix               # HAProxy to Telemt: unix | tcp (takes source ports, see port_share)
listen: 8443             # port for clients, or ADDRESS:PORT
balance: source          # source: a client's address stays on one replica | leastconn: the emptiest
buffers: throughput      # throughput: sockets grow | density: bounded, for many slow clients
# metrics: 9102          # PORT of 127.0.0.1 for Prometheus: /metrics, /telemt-1/metrics, ...
# per_address: {{connections: 5000, rate: 10000}}   # held at once; new ones in 10 s
# per_user: {{connections: 1000, addresses: 20, quota_mib: 102400}}

limits:
  mode: fit              # what the engine cannot grant: fit lowers it and says so | strict stops
  # Single limits can differ from the guide; `stackctl limits` explains each.
  # nofile: {{soft: 1048576, hard: 1048576}}
  # net.ipv4.ip_local_port_range: [10000, 65535]

haproxy:
  source: auto           # auto | official | build (from Debian's packages)
  version: "3.0"         # in quotes: YAML would read a fraction

telemt:
  source: auto           # auto | official | binary | double (a stand-in for labs)
  # binary: ./telemt     # your own executable, with source: binary
  version: 3.4.25
  domain: www.example.com   # the site fake TLS pretends to be: change it before anyone gets a link
  public_host: 127.0.0.1    # the address or name clients use: change it for anyone but yourself
  middle_proxy: false
  modes: [secure, tls]      # what clients may speak: classic | secure | tls
  datacentre: telegram      # telegram | lab (a stand-in inside the stack: no internet, no users)
  mask: auto                # where strangers are passed on to: auto | off | HOST:PORT

secrets: secrets.yaml    # user secrets, mode 0600; never commit it
"""

_SECRETS = """\
# Who may use the proxy: NAME: 32 hex digits. Never commit this file, and keep it at mode 0600.
# Another user is another line; `openssl rand -hex 16` makes a secret.
users:
  {user}: "{secret}"

# What HAProxy's health check and the probe show to Telemt's API; nobody else needs it.
# `openssl rand -hex 32` makes another.
api: "{api}"
"""

FIRST_USER = "user1"


def stack_text(name: str, connections: int, replicas: int, schema: str) -> str:
    """An annotated stack file; `schema` is where editors find the JSON Schema, relative to it."""
    text = _STACK.format(name=name, connections=connections, replicas=replicas, schema=schema)
    return "".join(_aligned(line) for line in text.splitlines(keepends=True))


def secrets_text(secret: str, api: str) -> str:
    """A secrets file with one user, and the API's secret."""
    return _SECRETS.format(user=FIRST_USER, secret=secret, api=api)


def _aligned(line: str) -> str:
    """The comment of a filled-in line, back in the column of its neighbours."""
    if not line.startswith(("name:", "connections:", "replicas:")):
        return line
    value, _, comment = line.partition("#")
    return f"{value.rstrip():<24} #{comment}"
