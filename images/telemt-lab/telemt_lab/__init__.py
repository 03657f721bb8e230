"""The lab double of Telemt: it treats a client's bytes as Telemt does, for labs and tests.

It stands in where no real binary can be had. It honours the contract that stackctl builds on:

- it reads the same telemt.toml with its includes, and refuses unknown keys under config_strict;
- it binds the same TCP and unix listeners, with the same backlog and socket options;
- it takes PROXY v1 and v2 from trusted networks only, and counts what it refuses;
- it stops accepting at server.max_connections, and keeps each user's limits and quota;
- it answers health, readiness, users, metrics and the page of failed handshakes;
- it relays MTProto (classic, secure, fake TLS) directly to the data centres, and connections that
  are not a user's to the fallback site;
- it ends on SIGTERM at once, without a drain.

It does not share with Telemt:

- middle proxies, STUN and fetching a real certificate: their keys are read and have no effect;
- upstreams other than direct, their bind addresses and interfaces;
- hot reload: SIGHUP is logged and ignored, a changed file is not noticed; a new user needs a
  restart;
- the API's other pages, and every request that writes;
- rate limits and expiry of users, and log settings;
- speed, memory and threads: it is one Python process with one event loop. Measured numbers of it
  say nothing about Telemt;
- the page of failed handshakes ends before Telemt's list of TLS fingerprints.

Wherever it names itself, it says that it is the double. With TELEMT_BINARY, tests/peers and the
tests of what a client sees run against a real Telemt as well.
"""

# The Telemt release whose contract is imitated. The suffix tells the two apart in metrics and logs.
VERSION = "3.4.25-double"

NOTICE = "this is the stackctl lab double: it passes MTProto, for labs and tests, but is not Telemt"
