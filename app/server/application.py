"""Puts the routes, the guard and the error handlers together."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from app.errors import SlipstreamError
from app.server.core.refusal import ApiError, from_http, from_slipstream, from_validation
from app.server.core.switchboard import Switchboard
from app.server.openai.chat import chat_router
from app.server.openai.completions import completions_router
from app.server.openai.models import models_router

log = logging.getLogger(__name__)


def create_application(switchboard: Switchboard) -> FastAPI:
    # no pages for people: they would load scripts from elsewhere
    app = FastAPI(title="Slipstream", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(models_router(switchboard))
    app.include_router(chat_router(switchboard))
    app.include_router(completions_router(switchboard))

    @app.get("/health")
    async def health() -> Response:
        loading = switchboard.loading()
        if loading is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "loading", "progress": round(loading, 2)}, 503)  # as with llama-server

    _handle_errors(app)
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(SlipstreamError)
    async def on_slipstream(_: Request, error: SlipstreamError) -> Response:
        return from_slipstream(error).response()

    @app.exception_handler(RequestValidationError)
    async def on_validation(_: Request, error: RequestValidationError) -> Response:
        return from_validation(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        return from_http(error.status_code, error.detail, error.headers, path).response()

    @app.exception_handler(ClientDisconnect)
    async def on_disconnect(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> Response:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        return ApiError(500, "The server met an error of its own. Its log says more.").response()
