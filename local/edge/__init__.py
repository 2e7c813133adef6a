"""The edge: an HTTP front on loopback that does what API Gateway and Lambda do.

``python -m local.edge --config FILE.json`` reads the routes, the authorizer and the gateway responses from the very
template that is deployed, and runs the functions as processes behind a Lambda Runtime API: awslambdaric for buffered
ones, the layer's own loop for streaming ones. So the code under test is the code that ships.

Known differences: header names and the path arrive as the client wrote them; a response flagged ``isBase64Encoded`` is
always decoded (AWS also looks at the API's binary media types); authorizer results are never cached (a TTL is ignored);
there is no throttling of the gateway's own and no idle timeout; integrations are Lambda proxy or mock, authorizers are
Lambda REQUEST authorizers. A route that needs more answers ``AUTHORIZER_CONFIGURATION_ERROR`` or
``API_CONFIGURATION_ERROR``; it is never let through.
"""
