"""Settings of the property tests: no deadline (a busy machine is no failure), examples as the campaign wants."""

from __future__ import annotations

from hypothesis import settings

from tests.support.campaign import SCALE, examples

# The suites try the same examples every time: a change is judged by itself, not by luck. The campaign searches.
settings.register_profile("chatapi", deadline=None, derandomize=SCALE == 1, max_examples=examples(100))
settings.load_profile("chatapi")
