"""How strict every model of a body is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

import chatapi.unplugged  # noqa: F401 - before the first model is made

STRICT = ConfigDict(strict=True, cache_strings="none", hide_input_in_errors=True)
"""For every shape of a body: no value is read as another type, kept in a cache of strings, or shown in an error."""


class Strict(BaseModel):
    """A body that is what its model says and nothing more. OpenAI's own shapes are laxer: see chat.wire."""

    model_config = ConfigDict(**STRICT, defer_build=True, extra="forbid", frozen=True)
