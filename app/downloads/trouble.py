"""What may go wrong on the way, as sentences: which answers are worth another try and which are final."""

import errno
import http.client
import socket
import ssl
from email.message import Message
from http import HTTPStatus
from pathlib import Path

from app.downloads.patience import ordered_wait
from app.errors import DownloadError

PASSING = (408, 425, 429, 500, 502, 503, 504, 520, 522, 524)
FULL = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)
TUNNEL = "Tunnel connection failed: "
KEPT = "What has come so far is kept."
NOTHING_KEPT = "Nothing of it is kept."


class Trouble(Exception):
    """Worth another try. str(): a clause. wait: seconds that the server asks for, 0 for at once."""

    def __init__(self, why: str, wait: float | None = None):
        super().__init__(why)
        self.wait = wait


def network_trouble(fault: Exception, host: str) -> Trouble | DownloadError:
    match fault:
        case ssl.SSLCertVerificationError():
            return DownloadError(
                f"The certificate of {host} is not valid ({fault.verify_message}), so nothing is downloaded from it. "
                "Check the date of this computer and whether a proxy or a virus scanner stands in between."
            )
        case TimeoutError():
            return Trouble(f"{host} sends nothing any more")
        case socket.gaierror():
            return Trouble(f"{host} is not found; is this computer online?")
        case ConnectionRefusedError():
            return Trouble(f"{host} refuses connections")
        case OSError() if fault.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
            return Trouble(f"{host} cannot be reached; is this computer online?")
        case OSError() if str(fault).startswith(TUNNEL):  # http.client has no class for it
            said = str(fault).removeprefix(TUNNEL)
            return DownloadError(
                f"The proxy does not let anything through to {host} ({said}). Check HTTPS_PROXY, its user and password."
            )
        case http.client.InvalidURL() | ValueError():
            return DownloadError(f"The address at {host}, or the token for it, has characters that cannot be sent.")
        case _:
            return Trouble(f"the connection to {host} broke")


def refusal(status: int, headers: Message, name: str, host: str, is_elsewhere: bool) -> Exception:
    """Trouble for what passes by itself, else a DownloadError. is_elsewhere: a redirect's target says so."""
    if status in PASSING:
        said = "asks to wait (HTTP 429, too many requests)" if status == 429 else f"has a fault ({_shown(status)})"
        return Trouble(f"{host} {said}", ordered_wait(headers))
    if status in (401, 403) and is_elsewhere:
        return Trouble(f"the address that {host} was given has expired ({_shown(status)})", 0)
    return DownloadError(_final(status, headers.get("X-Error-Code", ""), name, host))


def _final(status: int, code: str, name: str, host: str) -> str:
    if code == "GatedRepo":
        return (
            f"“{name}” belongs to a gated repository ({_shown(status)}), and this computer has no access to it yet. "
            "Ask for access on the repository's page, save your token in the settings, then try again."
        )
    match status:
        case 401:
            return (
                f"{host} wants a valid token for “{name}” ({_shown(status)}). Save one in the settings, then try again."
            )
        case 403:
            return (
                f"{host} does not let this token download “{name}” ({_shown(status)}). Ask for access on the "
                "repository's page or use a token with read rights, then try again."
            )
        case 404 | 410:
            return (
                f"“{name}” is not at {host} any more ({_shown(status)}): it was renamed or taken away. "
                "Open the repository's page to see what it offers now."
            )
        case 407:
            return (
                f"The proxy in front of {host} wants a user and a password ({_shown(status)}). "
                "Write them into HTTP_PROXY, then try again."
            )
        case 416:
            return (
                f"{host} has no bytes for “{name}” where the listing promises some ({_shown(status)}). "
                "Open the repository's page anew and download again."
            )
        case _:
            return f"{host} does not give out “{name}” ({_shown(status)}). Try again later."


def too_long_a_wait(host_says: str, seconds: float) -> DownloadError:
    minutes = max(1, round(seconds / 60))
    return DownloadError(f"Stopped: {host_says}, for {minutes} minutes. {KEPT} Try again then.")


def given_up(name: str, why: Trouble, tries: int) -> DownloadError:
    return DownloadError(
        f"“{name}” could not be downloaded: {why}. It was tried {tries} times. {KEPT} "
        "Check the connection, then try again."
    )


def disk_trouble(fault: OSError, path: Path, missing: int | None = None, kept: str = KEPT) -> DownloadError:
    """missing: bytes that were still to come."""
    if fault.errno in FULL:
        need = f", and {shown_size(missing)} are still to come" if missing else ""
        return DownloadError(f"The disk of {path.parent} is full{need}. {kept} Free some space, then try again.")
    if fault.errno == errno.EFBIG:
        return DownloadError(
            f"The disk of {path.parent} takes no file as large as “{path.name}” (FAT32 ends at 4 GB). "
            "Choose a folder on another disk."
        )
    return DownloadError(f"{path} cannot be written: {fault.strerror or fault}. Check the folder, then try again.")


def wrong_bytes(name: str, host: str) -> DownloadError:
    return DownloadError(
        f"“{name}” arrived with other bytes than {host} announces: its hash differs. It was deleted. "
        "Download it again; if it happens again, the file at the source or the network on the way is damaged."
    )


def other_version(name: str, host: str) -> DownloadError:
    return DownloadError(
        f"{host} has another “{name}” now than the one that was chosen: it announces another hash. Nothing of it is "
        "downloaded. Open the repository's page anew and download again."
    )


def other_size(name: str, host: str, sent: int | None, wanted: int) -> DownloadError:
    more, announced = "more" if sent is None else shown_size(sent), shown_size(wanted)
    if more == announced:
        more, announced = f"{sent:,}", f"{wanted:,} bytes"
    return DownloadError(
        f"{host} sends {more} for “{name}” where {announced} were announced: another version, or the page of "
        "a network that wants a login. Open the repository's page anew and download again."
    )


def shown_size(num_bytes: int) -> str:
    for unit, divisor, digits in (("GB", 1e9, 2), ("MB", 1e6, 1), ("kB", 1e3, 0)):
        if num_bytes >= divisor:
            return f"{num_bytes / divisor:.{digits}f} {unit}"
    return f"{num_bytes} bytes"


def _shown(status: int) -> str:
    try:
        return f"HTTP {status}, {HTTPStatus(status).phrase.lower()}"
    except ValueError:
        return f"HTTP {status}"
