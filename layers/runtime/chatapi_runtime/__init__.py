"""Response streaming for Python functions on AWS Lambda, in the standard library alone.

Lambda's managed Python runtime buffers a response. This package is a runtime loop of our own that runs on that
managed runtime (``AWS_LAMBDA_EXEC_WRAPPER=/opt/bin/streaming-runtime``) and sends each chunk as soon as the handler
yields it. A handler is ``handler(event, context) -> Response``::

    def handler(event: dict[str, Any], context: Context) -> Response:
        return Response(200, {"content-type": "text/event-stream"}, tokens())
"""

from __future__ import annotations

from chatapi_runtime.contract import Context, Handler, Response, after_restore

__all__ = ["Context", "Handler", "Response", "after_restore"]
