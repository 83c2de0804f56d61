"""JSON that says exactly what a value is and can still be written anywhere: to a terminal, to a file in UTF-8."""

import json
import re
from typing import Any

from backends.bounds import UNPRINTABLE


def exact_json(document: Any, indent: int | None = 2) -> str:
    """Readable but for what a terminal obeys and UTF-8 cannot write: that is escaped, as JSON may have it."""
    return UNPRINTABLE.sub(_escaped, json.dumps(document, ensure_ascii=False, indent=indent))


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1]  # between values; within texts it is escaped
