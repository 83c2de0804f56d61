"""What a server's tool has answered, as text. Models here read nothing else."""

import json
from typing import TYPE_CHECKING

from app.tools.tool import Outcome

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock

KIB = 1 << 10


def outcome_of(result: "CallToolResult") -> Outcome:
    """Parts that are no text are named, so that a model knows that there was something."""
    parts = [_told(part) for part in result.content]
    if not parts and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    return Outcome("\n".join(parts) or "(no output)", bool(result.is_error))


def _told(part: "ContentBlock") -> str:
    from mcp.types import AudioContent, EmbeddedResource, ImageContent, TextContent, TextResourceContents

    match part:
        case TextContent():
            return part.text
        case ImageContent() | AudioContent():
            size = len(part.data) * 3 // 4 // KIB  # of what base64 writes in four characters for three bytes
            return f"[{part.type}, {part.mime_type}, {size:,} KiB: cannot be shown to this model]"
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return f"[{resource.uri}]\n{resource.text}"
        case EmbeddedResource(resource=resource):
            return f"[{resource.uri}: not text]"
        case _:
            return f"[Link: {part.name}, {part.uri}]"
