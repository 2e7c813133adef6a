"""Settings of the property tests: no deadline (a busy machine is no failure), examples as the campaign wants."""

from __future__ import annotations

from hypothesis import settings

from tests.support.campaign import examples

settings.register_profile("chatapi", deadline=None, max_examples=examples(100))
settings.load_profile("chatapi")
