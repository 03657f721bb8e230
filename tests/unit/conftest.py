"""What holds for all unit tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine makes any example slow, and no test here is about time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
