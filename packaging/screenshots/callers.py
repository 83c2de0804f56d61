"""Programs that call the port while it is photographed: real requests and real answers, under names people know."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx

OPENAI, CONTINUE, OLLAMA, CLAUDE = "OpenAI/Python 3.57.0", "continue/1.3.4", "ollama-python/0.6.3", "claude-cli/2.1.9"
QUESTION = [{"role": "user", "content": "What is Slipstream?"}]
ENDLESS = {"stream": True, "ignore_eos": True, "context_overflow": "roll"}
SECONDS = 60.0


@contextmanager
def callers(address: str, model: str) -> Iterator[None]:
    """Some have called; two have an answer that goes on until they leave."""
    for name, path, body in (
        (CLAUDE, "/v1/messages", {"model": model, "messages": QUESTION, "max_tokens": 80}),
        (OLLAMA, "/api/chat", {"model": "llama9", "messages": QUESTION, "stream": False}),
        (OLLAMA, "/api/chat", {"model": model, "messages": QUESTION, "stream": False}),
        (CLAUDE, "/v1/messages", {"model": model, "messages": QUESTION, "max_tokens": 120}),
        (OPENAI, "/v1/embeddings", {"model": model, "input": "What is Slipstream?"}),
        (CONTINUE, "/v1/completions", {"model": model, "prompt": "Slipstream is", "max_tokens": 24}),
    ):
        httpx.post(address + path, json=body, headers={"User-Agent": name}, timeout=SECONDS)
    with ExitStack() as stack:
        for name, path, asked in (
            (OPENAI, "/v1/chat/completions", {"messages": QUESTION}),
            (CONTINUE, "/v1/completions", {"prompt": "Slipstream is"}),
        ):
            stack.enter_context(_endless(address + path, name, {"model": model, **asked, **ENDLESS}))
        yield


@contextmanager
def _endless(url: str, name: str, body: dict[str, Any]) -> Iterator[None]:
    client = httpx.Client(headers={"User-Agent": name}, timeout=SECONDS)
    is_over = threading.Event()

    def read() -> None:
        with suppress(httpx.HTTPError), client.stream("POST", url, json=body) as response:
            for _ in response.iter_raw():
                if is_over.is_set():
                    return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()
        client.close()
