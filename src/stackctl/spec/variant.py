"""The same stack in another mode, or as a copy that can run beside it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from stackctl.spec.model import Stack


def with_mode(stack: Stack, mode: Literal["fit", "strict"]) -> Stack:
    """The stack with `limits.mode` replaced, as --fit and --strict ask."""
    return stack.model_copy(update={"limits": stack.limits.model_copy(update={"mode": mode})})


def as_copy(stack: Stack, name: str, port: int) -> Stack:
    """The stack under another name and client port, on a subnet of its own."""
    return stack.model_copy(
        update={
            "name": name,
            "listen": replace(stack.listen, port=port),
            "subnet": "",
            # The original may hold that port.
            "metrics": None,
            "telemt": stack.telemt.model_copy(update={"public_port": port}),
        }
    )
