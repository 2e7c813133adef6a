"""API Gateway's way with a request: route, authorizer, integration, gateway responses."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

from local.edge.authorizer import Refused, authorize
from local.edge.events import Request
from local.edge.functions import Function
from local.edge.http import Exchange, TooLarge
from local.edge.invocation import MAX_PAYLOAD, FunctionFailed, Invocation, Reason
from local.edge.proxy import MalformedResponse, buffered_response, streaming_head
from local.edge.responses import Kind, render
from local.edge.template import METHODS, Api, LambdaIntegration, MockIntegration, Route

MAX_BODY = 10 * 1024 * 1024
"""Bytes of a request (AWS: "Quotas for configuring and running a REST API")."""

_NO_ROUTE = Route("", "", None, None)
_FAILURES = {
    Reason.ERROR: Kind.BAD_GATEWAY,
    Reason.INIT: Kind.BAD_GATEWAY,
    Reason.CRASH: Kind.BAD_GATEWAY,
    Reason.TIMEOUT: Kind.BAD_GATEWAY,
    Reason.THROTTLED: Kind.LAMBDA_THROTTLED,
    Reason.UNAVAILABLE: Kind.INTEGRATION_FAILURE,
}


@dataclass(frozen=True)
class Gateway:
    """One API at one port. ``handle`` answers a request; it never raises for what a client or a function does."""

    api: Api
    functions: Mapping[str, Function]
    stage: str
    account_id: str
    region: str
    port: int
    access_log: TextIO = field(repr=False)

    async def handle(self, exchange: Exchange) -> None:
        """Serve one request and write its line in the access log."""
        started = time.perf_counter()
        # At API Gateway's own address the stage comes first, at a custom domain there is none: here both are answered.
        stage = f"/{self.stage}"
        prefix = stage if exchange.target.startswith(stage + "/") else ""
        target = exchange.target.removeprefix(prefix)
        found = self.api.match(exchange.method, target.partition("?")[0])
        route, parameters = found or (_NO_ROUTE, {})
        request = Request(
            method=exchange.method,
            target=target,
            prefix=prefix,
            headers=exchange.headers,
            source_ip=exchange.client,
            route=route,
            parameters=parameters,
            api_id=self.api.name.lower(),
            stage=self.stage,
            account_id=self.account_id,
            region=self.region,
            port=self.port,
        )
        try:
            await self._serve(exchange, request, known=found is not None)
        finally:
            self._log(exchange, request, started)

    async def _serve(self, exchange: Exchange, request: Request, *, known: bool) -> None:  # noqa: PLR0911  # each return is an outcome
        if not known:
            return await self._refuse(exchange, request, Kind.MISSING_AUTHENTICATION_TOKEN)
        try:
            body = await exchange.read(MAX_BODY)
        except TooLarge:
            return await self._refuse(exchange, request, Kind.REQUEST_TOO_LARGE)
        integration = request.route.integration
        context: dict[str, str | int] | None = None
        if request.route.authorizer:
            try:
                context = await authorize(request.route.authorizer, request, self.functions)
            except Refused as refusal:
                return await self._refuse(exchange, request, refusal.kind, refusal.context)
        if isinstance(integration, MockIntegration):
            headers = [("content-type", "application/json"), *integration.headers.items()]
            return await exchange.respond(integration.status, self._own(request) + headers, integration.body.encode())
        if integration is None or integration.function not in self.functions:
            return await self._refuse(exchange, request, Kind.API_CONFIGURATION_ERROR, context)
        event = json.dumps(
            request.proxy_event(body, context, binary=self.api.is_binary(request.header("content-type"))),
            ensure_ascii=False,
        ).encode()
        if len(event) > MAX_PAYLOAD:
            return await self._refuse(exchange, request, Kind.REQUEST_TOO_LARGE, context)
        invocation = self.functions[integration.function].invoke(event, request.trace_id)
        kind = await self._integrate(exchange, request, integration, invocation)
        if kind is not None and not exchange.started:
            await self._refuse(exchange, request, kind, context)
        elif kind is not None:
            exchange.abort()  # headers are out: a cut is the only way to say that this is not the whole response
        return None

    async def _integrate(
        self, exchange: Exchange, request: Request, integration: LambdaIntegration, invocation: Invocation
    ) -> Kind | None:
        """Send the function's response; returns what went wrong, if anything did."""
        try:
            async with asyncio.timeout(integration.timeout):
                if integration.streaming:
                    await self._stream(exchange, request, invocation)
                else:
                    head, body = buffered_response(await invocation.read())
                    await exchange.respond(head.status, self._own(request) + head.headers, body)
        except FunctionFailed as failure:
            return _FAILURES[failure.reason]
        except (MalformedResponse, ValueError):
            return Kind.BAD_GATEWAY
        except TimeoutError:
            return Kind.INTEGRATION_TIMEOUT
        finally:
            invocation.abandon()  # the function itself goes on to its end
        return None

    async def _stream(self, exchange: Exchange, request: Request, invocation: Invocation) -> None:
        chunks = invocation.chunks()
        head, first = await streaming_head(chunks)
        await exchange.begin(head.status, self._own(request) + head.headers, first)
        async for chunk in chunks:
            await exchange.send(chunk)
            if exchange.gone:
                return
        await exchange.end()

    async def _refuse(
        self, exchange: Exchange, request: Request, kind: Kind, context: Mapping[str, object] | None = None
    ) -> None:
        variables = request.variables() | {f"authorizer.{name}": str(value) for name, value in (context or {}).items()}
        status, headers, body = render(self.api, kind, variables)
        await exchange.respond(status, self._own(request) + headers, body)

    def _own(self, request: Request) -> list[tuple[str, str]]:
        return [("x-amzn-RequestId", request.id)]

    def _log(self, exchange: Exchange, request: Request, started: float) -> None:
        """Route template and outcome alone: a path or a query could say who asked for what."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(request.received)),
            "method": request.method if request.method in METHODS else "OTHER",
            "route": request.route.resource or None,
            "status": exchange.status,
            "ms": round((time.perf_counter() - started) * 1000, 1),
            "request_id": request.id,
        }
        self.access_log.write(json.dumps(line) + "\n")
