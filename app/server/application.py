"""Puts the dialects' routes and the error handlers together."""

import logging
from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from app.errors import SlipstreamError
from app.server.core.complaint import from_validation
from app.server.core.refusal import BUG, Refusal, from_http, from_slipstream
from app.server.core.switchboard import Switchboard
from app.server.description import DescribedApplication
from app.server.dialects import DIALECTS, dialect_of, refuse
from app.server.native.routes import Native

log = logging.getLogger(__name__)


def create_application(switchboard: Switchboard, native: Native | None = None) -> FastAPI:
    # no pages for people: they would load scripts from elsewhere
    app = DescribedApplication(title="Slipstream", docs_url=None, redoc_url=None, redirect_slashes=False)
    routers = [router(switchboard) for dialect in DIALECTS for router in dialect.routers]
    if native:
        routers.append(native.router(switchboard))
    for router in routers:
        app.include_router(_described(router))

    @app.get("/v1/health", include_in_schema=False)
    @app.get("/health", responses={503: {"description": "A model is loading, and none can answer yet."}})
    async def health() -> Response:
        loading = switchboard.loading()
        if loading is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "loading", "progress": round(loading, 2)}, 503)  # as with llama-server

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        """Ollama's command asks so, before anything else, whether its server is there."""
        return PlainTextResponse("Slipstream is running. What it offers: /openapi.json")

    own = APIRouter(routes=[route for route in app.routes if isinstance(route, Route)])
    _handle_errors(app, [route for router in (*routers, own) for route in router.routes])
    return app


def _described(router: APIRouter) -> APIRouter:
    """With the failures of its routes in the shape of the dialect that answers at their paths."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.responses = dialect_of(route.path, {}).failures | route.responses
    return router


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Those that this path has, in all of its routes together."""
    fitting = [route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE]
    methods = {method for route in fitting for method in route.methods or ()}
    return [*sorted(methods - {"HEAD", "OPTIONS"}), "OPTIONS"]


def _handle_errors(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    paths = [route.path for route in routes if isinstance(route, Route)]

    @app.exception_handler(SlipstreamError)
    async def on_slipstream(request: Request, error: SlipstreamError) -> Response:
        return refuse(request.url.path, from_slipstream(error), request.headers)

    @app.exception_handler(Refusal)
    async def on_refusal(request: Request, refusal: Refusal) -> Response:
        return refuse(request.url.path, refusal, request.headers)

    @app.exception_handler(RequestValidationError)
    async def on_validation(request: Request, error: RequestValidationError) -> Response:
        return refuse(request.url.path, from_validation(error.errors(), error.body), request.headers)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(routes, request.scope))
        if request.method == "OPTIONS" and error.status_code == 405:
            return Response(status_code=204, headers=headers)
        return refuse(path, from_http(error.status_code, error.detail, headers, path, paths), request.headers)

    @app.exception_handler(ClientDisconnect)
    async def on_disconnect(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> Response:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        return refuse(request.url.path, BUG, request.headers)
