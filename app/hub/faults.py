"""What the Hub's refusals mean, as sentences: what happened, why, what to do now."""

import math
import re
from collections.abc import Mapping

from app.errors import HubError, HubFault

TOKENS_PAGE = "settings/tokens"  # where a person makes one
RESET = re.compile(r"(?:^|;)\s*t=(\d{1,6})\s*(?:;|$)")
MAX_WAIT = 24 * 3600


def offline(host: str) -> HubError:
    return HubError(
        HubFault.OFFLINE, f"{host} cannot be reached. Check this machine's network connection, then try again."
    )


def silent(host: str, seconds: float) -> HubError:
    return HubError(
        HubFault.OFFLINE, f"{host} took longer than {seconds:.0f} seconds to answer. Try again in a moment."
    )


def broken_off(host: str) -> HubError:
    return HubError(HubFault.OFFLINE, f"The connection to {host} broke off in the middle of an answer. Try again.")


def unsafe(host: str) -> HubError:
    return HubError(
        HubFault.BROKEN,
        f"{host} cannot prove that it is what it says: its certificate is not valid here. Check this machine's "
        "clock, and whether a proxy stands in between.",
    )


def broken(host: str, what: str) -> HubError:
    return HubError(
        HubFault.BROKEN, f"The answer of {host} makes no sense ({what}). Try again; if it stays so, check HF_ENDPOINT."
    )


def refused_elsewhere(host: str, status: int) -> HubError:
    """By a store that the Hub sent us to: it knows no person, so its refusal is no gate."""
    kind = HubFault.SERVER if status >= 500 or status == 429 else HubFault.BROKEN
    return HubError(kind, f"{host}, where the Hub keeps this file, did not hand it out ({status}). Try again.")


def refusal(
    status: int, headers: Mapping[str, str], endpoint: str, host: str, about: str | None, has_token: bool
) -> HubError:
    """about: the repository that was asked for; None for a search. Only status and codes are read, no words."""
    code = headers.get("x-error-code", "")
    if status == 429:
        return _limited(headers, host)
    if status >= 500:
        return HubError(HubFault.SERVER, f"{host} has trouble of its own ({status}). Try again in a few minutes.")
    if about and (code == "GatedRepo" or (status == 403 and not code)):
        return _gated(endpoint, about, has_token)
    if status in (401, 403) and code != "RepoNotFound":
        return _unauthorized(endpoint, host, has_token)
    if status in (401, 404):
        return _not_found(code, about, has_token)
    if status == 416:
        return HubError(HubFault.BROKEN, f"{host} does not have the part of the file that was asked for. Try again.")
    return HubError(HubFault.BROKEN, f"{host} refused the question ({status}). Try other words, or try again later.")


def _limited(headers: Mapping[str, str], host: str) -> HubError:
    seconds = _wait(headers)
    when = f"in {_duration(seconds)}" if seconds else "in a few minutes"
    advice = "With an access token it allows more."
    return HubError(
        HubFault.RATE_LIMITED, f"{host} has had too many questions. Try again {when}. {advice}", retry_after=seconds
    )


def _wait(headers: Mapping[str, str]) -> float | None:
    """In seconds, by `Retry-After: 55` or `ratelimit: "api";r=0;t=55`."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*", headers.get("retry-after", "")) or RESET.search(
        headers.get("ratelimit", "")
    )
    return min(float(match[1]), MAX_WAIT) if match else None


def _duration(seconds: float) -> str:
    if seconds <= 90:
        return "1 second" if seconds <= 1 else f"{seconds:.0f} seconds"
    return f"{math.ceil(seconds / 60)} minutes"


def _gated(endpoint: str, about: str, has_token: bool) -> HubError:
    if has_token:
        text = f"Your token does not open “{about}” yet. Ask for access on its page, and try again once it is granted."
    else:
        text = f"“{about}” is given only to people who asked for it. Ask on its page, then enter your access token."
    return HubError(HubFault.GATED, text, link=f"{endpoint}/{about}")


def _unauthorized(endpoint: str, host: str, has_token: bool) -> HubError:
    link = f"{endpoint}/{TOKENS_PAGE}"
    if has_token:
        text = f"{host} does not accept your access token. It may have expired: make a new one and enter it."
    else:
        text = f"{host} answers only with an access token. Make one on its page and enter it."
    return HubError(HubFault.UNAUTHORIZED, text, link=link)


def _not_found(code: str, about: str | None, has_token: bool) -> HubError:
    if about is None:
        text = "The Hub has no such page. Check HF_ENDPOINT."
    elif code == "RevisionNotFound":
        text = f"“{about}” has no such revision. Leave it out to get the newest."
    elif code == "EntryNotFound":
        text = f"“{about}” does not have that file any more. Open its page again."
    else:
        token = "your token does not open it" if has_token else "it is private and needs an access token"
        text = f"There is no repository “{about}”, or {token}. Check the name."
    return HubError(HubFault.NOT_FOUND, text)
