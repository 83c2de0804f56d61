"""Whoever leaves gives the only place for an answer to the next one within a second: in every dialect, in a stream,
before a whole answer, and while the prompt is read.

`slipstream serve --parallel 1` with SmolLM2. What is measured is the next one's first word, its prompt included; the
bound is that of a quiet machine.
"""

import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.bench.attacks.case import Case
from tests.e2e.serving import Serving, serving
from tests.real import things

FREE_SECONDS = 1.0
WAIT_SECONDS = 60.0
ENDLESS = 10**6
LONG = "word " * 6000  # tokens, which take many steps to read
TOLD = "What is a port?"
Body = dict[str, Any]
OPTIONS = ("--parallel", "1", "--context", "8192", "--prompt-cache-ram", "0", "--prompt-cache-disk", "0")


def _chat(text: str, **more: Any) -> Body:
    return {"messages": [{"role": "user", "content": text}], **more}


def _prompt(text: str, **more: Any) -> Body:
    return {"prompt": text, **more}


DIALECTS: dict[str, tuple[str, Callable[[str], Body]]] = {
    "chat": ("/v1/chat/completions", partial(_chat, ignore_eos=True, max_tokens=ENDLESS)),
    "completions": ("/v1/completions", partial(_prompt, ignore_eos=True, max_tokens=ENDLESS)),
    "responses": ("/v1/responses", lambda text: {"input": text, "ignore_eos": True}),
    "Anthropic": ("/v1/messages", partial(_chat, max_tokens=4000)),
    "Ollama's chat": ("/api/chat", partial(_chat, options={"num_predict": 4000})),
    "Ollama's generate": ("/api/generate", partial(_prompt, options={"num_predict": 4000})),
    "llama-server": ("/completion", partial(_prompt, ignore_eos=True)),
}


def cases() -> Iterator[Case]:
    with tempfile.TemporaryDirectory(prefix="slipstream-attack-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        with serving(home, things.smollm2(), options=OPTIONS) as app:
            for name, (path, body) in DIALECTS.items():
                for what, text, phase in (("an answer", TOLD, "answering"), ("a prompt", LONG, "reading")):
                    for streams in (True, False):
                        seconds: list[float] = []
                        asked = {**body(text), "stream": streams, "model": things.smollm2().stem}
                        attack = partial(_leave, app, path, asked, phase, seconds)
                        yield Case(f"{name}: {what}, {'streamed' if streams else 'whole'}", attack, seconds)


def _leave(app: Serving, path: str, body: Body, phase: str, told: list[float]) -> str | None:
    with _asked(app, path, body) as leaver:
        _until(lambda: phase in _phases(app))
        with _asked(app, "/v1/completions", {"prompt": "The", "max_tokens": 1, "stream": True}) as next_:
            _until(lambda: len(_phases(app)) == 2)
            leaver.close()
            began = time.monotonic()
            while b'"text":"' not in next_.recv(65536):
                pass
            seconds = time.monotonic() - began
    _until(lambda: not _phases(app))
    told.append(seconds)
    return f"the next one began after {seconds:.2f} s" if seconds > FREE_SECONDS else None


def _asked(app: Serving, path: str, body: Body) -> socket.socket:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    connection = socket.create_connection(("127.0.0.1", app.port), timeout=WAIT_SECONDS)
    connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return connection


def _phases(app: Serving) -> list[str]:
    live = httpx.get(f"{app.url}/api/slipstream/requests", timeout=WAIT_SECONDS).json()["live"]
    return [each["phase"] for each in live]


def _until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("it did not come to that")
        with suppress(httpx.HTTPError):
            time.sleep(0.02)
