"""The time of day for models, which have none."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from app.tools.tool import Outcome, finished
from backends.bounds import as_name


def _now(zone: tzinfo | None) -> datetime:
    """None: this machine's own zone."""
    return datetime.now(zone) if zone else datetime.now().astimezone()


class Clock:
    """now: the time in a zone; None means this machine's own."""

    name = "current_time"
    description = "Tells the date and the time of day now, here or in another time zone."
    parameters = (
        '{"type": "object", "properties": {"timezone": {"type": "string", '
        '"description": "An IANA name such as Europe/Berlin; left out: the time here"}}}'
    )

    def __init__(self, now: Callable[[tzinfo | None], datetime] = _now):
        self._now = now

    def start(self, arguments: Mapping[str, Any]) -> "Future[Outcome]":
        name = arguments.get("timezone") or None
        try:
            zone = ZoneInfo(name) if name is not None else None
        except (ValueError, OSError, TypeError, KeyError, AttributeError):  # whatever a name is taken for: a path, too
            shown = as_name(str(name), 60)
            sentence = f"There is no time zone “{shown}” here. Use an IANA name such as Europe/Berlin."
            return finished(Outcome(sentence, is_error=True))
        now = self._now(zone)
        where = f", {name}" if zone else ""
        return finished(Outcome(f"{now:%A, %Y-%m-%d %H:%M:%S} (UTC{now:%z}{where})"))
