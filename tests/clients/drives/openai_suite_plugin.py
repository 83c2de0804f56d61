"""A plugin of pytest for openai-python's own tests, which were written for a server that invents its answers: names of
models and responses become those that are there, and an answer has an end. What is refused by name is left out."""

import os
from typing import Any

import httpx2
import pytest
from openai._base_client import BaseClient
from openai_suite_list import DESELECTED, LEFT_OUT, SAID, UNLIKE_OPENAI

BASE = os.environ["TEST_API_BASE_URL"]
MODEL = os.environ["SUITE_MODEL"]
KINDS = ("test_method_", "test_raw_response_", "test_streaming_response_")
NUM_TOKENS = 8
LIMITS = {"/chat/completions": "max_tokens", "/completions": "max_tokens", "/responses": "max_output_tokens"}

build = BaseClient._build_request


def _build(self: Any, options: Any, **named: Any) -> Any:
    path, body = options.url, options.json_data
    if isinstance(body, dict) and path in {*LEFT_OUT, "/embeddings"}:
        options.json_data = _body(path, body)
    elif path.startswith("/models/"):
        options.url = f"/models/{MODEL}"
    elif path.startswith("/responses/") and options.method.lower() in ("get", "delete"):
        _, first, _, *others = path.split("/")
        options.url = "/".join(("", first, _new_response(), *others))
    return build(self, options, **named)


def _body(path: str, body: dict[str, Any]) -> dict[str, Any]:
    body = {**body, "model": MODEL}
    for name in (*LEFT_OUT.get(path, ()), *UNLIKE_OPENAI.get(path, ())):
        outer, _, inner = name.partition(".")
        if inner and outer in body:
            body[outer] = {key: value for key, value in body[outer].items() if key != inner}
        elif not inner:
            body.pop(name, None)
    if path in LIMITS and not any(
        name in body for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")
    ):
        body[LIMITS[path]] = NUM_TOKENS
    if "previous_response_id" in body:
        body["previous_response_id"] = _new_response()
    return body | {name: value for name, (value, _) in SAID.get(path, {}).items() if not _is_said(body, name)}


def _is_said(body: dict[str, Any], name: str) -> bool:
    """Embeddings are asked for in base64 wherever a program does not say how."""
    return name in body and body[name] != "base64"


def _new_response() -> str:
    wanted = {"model": MODEL, "input": "Hi", "max_output_tokens": 1}
    return str(httpx2.post(f"{BASE}/responses", json=wanted, timeout=600).raise_for_status().json()["id"])


BaseClient._build_request = _build


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if _is_deselected(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_deselected(item: pytest.Item) -> bool:
    names = next((names for file, names in DESELECTED.items() if str(item.path).endswith(f"api_resources/{file}")), {})
    name = item.name.partition("[")[0]
    kind = next((kind for kind in KINDS if name.startswith(kind)), None)
    return kind is not None and name.removeprefix(kind) in names
