"""An answer that belongs to no request: one refusal, written out whole, and the end of the connection."""

import json
from http import HTTPStatus

from app.server.core.refusal import Refusal
from app.server.openai import errors


def last_word(refusal: Refusal) -> bytes:
    """In HTTP/1.1, and OpenAI's shape, for the path is not known."""
    body = json.dumps(errors.body(refusal)).encode()
    retry = "Retry-After: 2\r\n" if refusal.status == 503 else ""
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{retry}Connection: close\r\n\r\n"
    )
    return head.encode() + body
