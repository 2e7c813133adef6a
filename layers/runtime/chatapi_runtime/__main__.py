"""``python -m chatapi_runtime``: what ``bin/streaming-runtime`` starts."""

from __future__ import annotations

from chatapi_runtime.loop import main

main()
