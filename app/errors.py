"""Every error a person may read: what happened, why, what to do now.

SlipstreamError
├── UsageError             a wrong command line: exit code 2
├── ModelFileError         missing, truncated, or not a model that this app can read
├── SettingsError          a change of the settings that the disk does not take
├── ChatFileError          a file of chats that cannot be read or written
├── UnknownModelError      no model of that name in the library
├── ConversionError        a checkpoint that cannot be converted or quantized
├── BuildError             an engine build that cannot be made, found or used
├── InstallError           an install that cannot begin or go on
│   └── AlreadyThere       what is asked for is in the library, or on its way there
├── BenchError             a run of the benchmark that cannot be kept, found or read
├── EvaluationError        a model that cannot be measured, or a text that it cannot be measured on
├── DownloadError          a file that cannot be fetched, or is not the one that was promised
├── EngineError            the engine refused, failed or died; carries a CrashReport when it died
│   ├── SlowError          a child took longer than it may
│   ├── UnloadableError    no engine can load the model's file
│   ├── NoRoomError        there is no memory for the model beside others that are in use
│   └── StoppedError       a person has ended the answer of a program
├── ToolError              a tool server that cannot be reached, or says what nobody understands
├── RequestError           one request that cannot be served, with its kind
├── HubError               the Hub cannot be reached, refused or answered nonsense; carries its kind
├── PortInUseError         another program listens there; names the next free port
└── Cancelled              the person called it off
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from backends.bounds import sentence
from backends.protocol import FailureKind

if TYPE_CHECKING:
    from app.inference.crash import CrashReport


class SlipstreamError(Exception):
    """str() of it is one sentence or two, fit for a banner or a terminal whatever a file has put into it."""

    def __init__(self, message: str = ""):
        super().__init__(sentence(message))


class UsageError(SlipstreamError):
    pass


class ModelFileError(SlipstreamError):
    pass


class SettingsError(SlipstreamError):
    pass


class ChatFileError(SlipstreamError):
    pass


class UnknownModelError(SlipstreamError):
    pass


class ConversionError(SlipstreamError):
    pass


class BuildError(SlipstreamError):
    pass


class InstallError(SlipstreamError):
    pass


class AlreadyThere(InstallError):
    """model_id: in the library. job_id: of the install that is on its way."""

    def __init__(self, message: str, model_id: str | None = None, job_id: int | None = None):
        super().__init__(message)
        self.model_id = model_id
        self.job_id = job_id


class EvaluationError(SlipstreamError):
    pass


class BenchError(SlipstreamError):
    pass


class DownloadError(SlipstreamError):
    pass


class ToolError(SlipstreamError):
    pass


class EngineError(SlipstreamError):
    def __init__(self, message: str, crash: "CrashReport | None" = None):
        super().__init__(message)
        self.crash = crash


class SlowError(EngineError):
    """It was ended for the time it took, which says nothing against the model or the build."""


class UnloadableError(EngineError):
    """No engine can load the model's file: another try is of no use before the file is another one."""


class NoRoomError(EngineError):
    """Another try later may find room."""


class StoppedError(EngineError):
    """A person has ended the answer of a program, which should not ask for it again by itself."""


class RequestError(SlipstreamError):
    """kind, numbers and about: as in Failed. field: what a program calls that part, where one has asked."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        numbers: tuple[int, ...] = (),
        about: str | None = None,
        field: str | None = None,
    ):
        super().__init__(message)
        self.kind = kind
        self.numbers = numbers
        self.about = about
        self.field = field


class HubFault(StrEnum):
    OFFLINE = "offline"
    UNAUTHORIZED = "unauthorized"
    GATED = "gated"
    NOT_FOUND = "not found"
    RATE_LIMITED = "rate limited"
    SERVER = "server"
    BROKEN = "broken"


class HubError(SlipstreamError):
    """link: the page where a person can do something about it. retry_after: in seconds."""

    def __init__(self, kind: HubFault, message: str, link: str | None = None, retry_after: float | None = None):
        super().__init__(message)
        self.kind = kind
        self.link = link
        self.retry_after = retry_after


class PortInUseError(SlipstreamError):
    def __init__(self, port: int, next_free: int | None):
        offer = f" Port {next_free} is free." if next_free else ""
        super().__init__(f"Port {port} is used by another program.{offer}")
        self.port = port
        self.next_free = next_free


class Cancelled(SlipstreamError):
    pass
