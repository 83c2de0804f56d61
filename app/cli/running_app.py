"""The Slipstream that runs already, by its native API: commands leave to it what is its own."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from app.errors import SlipstreamError
from app.paths import Paths
from app.running import Running, noted

PATIENCE = 30.0  # seconds for one answer
NOT_RUNNING = "Slipstream is not running. Open the window, or start “slipstream serve”."


class Refused(SlipstreamError):
    """By the one that runs. code: its word for programs."""

    def __init__(self, message: str, code: str | None):
        super().__init__(message)
        self.code = code


class RunningApp:
    """Its methods raise SlipstreamError, with what it says."""

    def __init__(self, running: Running):
        self._running = running
        # it proves itself with a key that only this person can read; its certificate may be for another name
        self._tls = ssl._create_unverified_context() if running.url.startswith("https:") else None

    def get(self, path: str) -> Any:
        return self._ask(urllib.request.Request(self._url(path)))

    def post(self, path: str, **body: Any) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        headers = {"Content-Type": "application/json"}
        return self._ask(urllib.request.Request(self._url(path), json.dumps(given).encode(), headers))

    def _url(self, path: str) -> str:
        return f"{self._running.url}/api/slipstream/{path}"

    def _ask(self, request: urllib.request.Request) -> Any:
        request.add_header("Authorization", f"Bearer {self._running.key}")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refused(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SlipstreamError(NOT_RUNNING) from error


def _refused(error: urllib.error.HTTPError) -> Refused:
    with error, suppress(ValueError, LookupError, TypeError):
        told = json.load(error)["error"]
        return Refused(_for_people(str(told["message"]), told["param"]), told["code"])
    return Refused(f"Slipstream has answered {error.code}.", None)


def _for_people(message: str, param: str | None) -> str:
    """Without the name of a field, which a command does not have."""
    said = message.removeprefix(f"{param}: ")
    return said[:1].upper() + said[1:]


def running_app() -> RunningApp | None:
    """The newest that answers; None where none does."""
    for known in noted(Paths.from_environment().running_file):
        app = RunningApp(known)
        with suppress(SlipstreamError):
            app.get("stats")
            return app
    return None


def wanted_app() -> RunningApp:
    """Raises SlipstreamError where none answers."""
    app = running_app()
    if app is None:
        raise SlipstreamError(NOT_RUNNING)
    return app
