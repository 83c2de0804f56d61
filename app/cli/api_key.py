"""Where the port's key comes from, and who else may see it there."""

import os
import stat
import sys
from pathlib import Path

from app.errors import UsageError

VARIABLE = "SLIPSTREAM_API_KEY"
MAX_LENGTH = 1024
VISIBLE = (
    f"the key after --api-key can be seen by everyone on this machine who lists its processes; "
    f"--api-key-file or {VARIABLE} keep it to yourself"
)


def wanted_key(given: str | None, file: str | None) -> tuple[str | None, list[str]]:
    """The key of the command line, the file or the environment, in this order, and notes for the person.

    Raises UsageError.
    """
    from_environment = os.environ.pop(VARIABLE, None)  # engines and other children need not know it
    if given is not None and file is not None:
        raise UsageError("--api-key and --api-key-file exclude each other.")
    if given is not None:
        return _checked(given, "--api-key"), [VISIBLE]
    if file is not None:
        return _from_file(Path(file))
    return (_checked(from_environment, VARIABLE) if from_environment else None), []


def _from_file(path: Path) -> tuple[str, list[str]]:
    name = _printable(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe might wait for ever
            raise UsageError(f"The key file {name} is no ordinary file.")
        with path.open("rb") as opened:
            content = opened.read(4 * MAX_LENGTH + 2).decode()
    except OSError as error:
        raise UsageError(f"The key file {name} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise UsageError(f"The key file {name} holds no text.") from None
    is_open = sys.platform != "win32" and status.st_mode & 0o077
    notes = [f"the key file {name} can be read by others; `chmod 600` it"] if is_open else []
    return _checked(content.strip("\r\n"), f"The key file {name}"), notes


def _checked(key: str, where: str) -> str:
    """What can be sent as one word of a header."""
    if not key or len(key) > MAX_LENGTH or not key.isprintable() or any(map(str.isspace, key)):
        raise UsageError(f"{where} must hold a key of 1 to {MAX_LENGTH} characters, without spaces and line ends.")
    return key


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in text)
