"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# Machines are noisy: how long something takes is measured in bench/ and asserted nowhere.
settings.register_profile("pressplay", deadline=None)
settings.load_profile("pressplay")
