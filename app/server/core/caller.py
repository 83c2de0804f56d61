"""Who sent a request, as far as the port knows. A value, which the guard puts into the request's state."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

CALLER = "slipstream.caller"  # in a request's state
MAX_PROGRAM = 80


@dataclass(frozen=True, slots=True)
class Caller:
    """address: of the other side, as the system tells it. key: the name of the key that was shown. program: what it
    calls itself, its User-Agent, printable and short; anybody may say anything there."""

    address: str = ""
    key: str | None = None
    program: str = ""

    @property
    def account(self) -> str:
        """With whom this one shares what one may have."""
        return f"key {self.key}" if self.key is not None else f"address {self.address}"


def caller_of(request: HTTPConnection) -> Caller:
    caller = request.scope.get("state", {}).get(CALLER)
    return caller if isinstance(caller, Caller) else Caller()
