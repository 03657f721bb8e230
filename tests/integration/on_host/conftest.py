"""Running labs on the host's network, where clients come from many addresses of loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from ..conftest import TELEMT, labs_in, started
from ..lab import Lab

EVERY_MODE = TELEMT.replace("{", "{modes: [classic, secure, tls], ", 1)


@pytest.fixture(scope="package")
def on_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Lab]]:
    """The lab with this kind of link and every mode: one for all tests that leave it as it was."""
    with labs_in(tmp_path_factory) as make:
        yield cache(lambda link: started(make(network="host", link=link, telemt=EVERY_MODE)))
