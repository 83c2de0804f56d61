"""Jobs and tools that a sandbox's child can import."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.sandbox.job import Refused


@dataclass(frozen=True, slots=True)
class Echo:
    text: str

    def run(self, _tools: Mapping[str, Any]) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Pid:
    def run(self, _tools: Mapping[str, Any]) -> int:
        return os.getpid()


@dataclass(frozen=True, slots=True)
class Loop:
    """In Python, where other threads get their turn."""

    def run(self, _tools: Mapping[str, Any]) -> None:
        while True:
            pass


@dataclass(frozen=True, slots=True)
class Grind:
    """In one call of C that holds the interpreter's lock for minutes."""

    def run(self, _tools: Mapping[str, Any]) -> int:
        return 7 ** (10**9)


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float

    def run(self, _tools: Mapping[str, Any]) -> None:
        time.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Stop:
    """Stops its own process, for as long as it is there."""

    def run(self, _tools: Mapping[str, Any]) -> None:
        while True:
            os.kill(os.getpid(), signal.SIGSTOP)


@dataclass(frozen=True, slots=True)
class Allocate:
    num_bytes: int

    def run(self, _tools: Mapping[str, Any]) -> int:
        held = [bytearray(b"x" * (1 << 20)) for _ in range(self.num_bytes >> 20)]
        return sum(map(len, held))


@dataclass(frozen=True, slots=True)
class Recurse:
    def run(self, tools: Mapping[str, Any]) -> None:
        self.run(tools)


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: str

    def run(self, _tools: Mapping[str, Any]) -> None:
        raise Refused(self.reason)


@dataclass(frozen=True, slots=True)
class Break:
    def run(self, _tools: Mapping[str, Any]) -> None:
        raise KeyError("a bug")


@dataclass(frozen=True, slots=True)
class Abort:
    """As Rust does where memory runs out."""

    def run(self, _tools: Mapping[str, Any]) -> None:
        os.abort()


@dataclass(frozen=True, slots=True)
class Weight:
    """A tool that says how often it was unpacked, and takes more memory than a job may."""

    name: str

    def unpack(self) -> list[bytes]:
        return [self.name.encode(), b"x" * (300 << 20)]


@dataclass(frozen=True, slots=True)
class UseWeight:
    def run(self, tools: Mapping[str, Any]) -> str:
        name: bytes = tools["weight"][0]
        return name.decode()
