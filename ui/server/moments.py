"""Times as a person reads them in a list."""

from datetime import datetime

MINUTE, HOUR, DAY = 60, 3600, 86_400


def ago(seconds: float) -> str:
    """How long something has been over."""
    if seconds < 10:
        return "just now"
    for length, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {name} ago"
    return f"{int(seconds)} s ago"


def clock(at: float) -> str:
    """at: seconds since the epoch; in this machine's time."""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def day(iso: str) -> str:
    """Of a time in ISO 8601; in this machine's time."""
    return datetime.fromisoformat(iso).astimezone().strftime("%d %b %Y, %H:%M")


def duration(seconds: float) -> str:
    if seconds < 0.001:
        return "< 1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
