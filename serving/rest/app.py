"""The web application: the API and what an operator needs beside it."""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from lsp_keras.serving.authentication import Token
from lsp_keras.serving.observability.metrics import CONTENT_TYPE, Metrics
from lsp_keras.serving.observability.readiness import Readiness
from lsp_keras.serving.rest.handlers import RestHandlers, json_response, respond
from lsp_keras.serving.rest.openapi import openapi

# Starlette takes it for all there are.
_ANY_METHOD: list[str] = []


class _AnyRoute(Route):
    """Takes every request, those too whose path is no path or has a line feed in it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}


def make_app(
    handlers: RestHandlers,
    readiness: Readiness,
    metrics: Metrics,
    *,
    metrics_path: str | None,
    token: Token,
    pages: list[BaseRoute],
) -> Starlette:
    """The application to serve.

    Args:
        handlers: Answer the API.
        readiness: Readiness, which `/readyz` answers; `/livez` answers while the process runs.
        metrics: Metrics that are shown to Prometheus.
        metrics_path: Where; `None` for nowhere.
        token: What Prometheus must send, like other clients.
        pages: Further routes.
    """

    async def live(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(request: Request) -> Response:
        reason = readiness.reason()
        return PlainTextResponse(f"{reason or 'ok'}\n", 503 if reason else 200)

    async def show_metrics(request: Request) -> Response:
        async def render() -> bytes:
            token.check(request.headers.get("authorization"))
            return metrics.render().encode()

        response = await respond(render)
        if response.status_code == 200:
            response.headers["content-type"] = CONTENT_TYPE
        return response

    description = json_response(orjson.dumps(openapi("Model server", with_token=token.is_set)), 200)

    async def describe(request: Request) -> Response:
        return description

    # Routes are tried in turn, so what is asked most comes first.
    routes: list[BaseRoute] = [Route("/v1/{path:path}", handlers.answer, methods=_ANY_METHOD)]
    routes += [Route("/livez", live), Route("/readyz", ready), *pages]
    routes.append(Route("/openapi.json", describe))
    if metrics_path:
        routes.append(Route(metrics_path, show_metrics))
    routes.append(_AnyRoute("/{path:path}", handlers.answer, methods=_ANY_METHOD))
    return Starlette(routes=routes)
