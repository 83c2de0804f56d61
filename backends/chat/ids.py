"""Ids for calls of formats that have none."""

import secrets
import string

LETTERS = string.ascii_letters + string.digits
LENGTH = 24
MISTRALS_LENGTH = 9  # its templates refuse ids of any other


def new_id() -> str:
    return "call_" + _letters(LENGTH)


def short_id() -> str:
    return _letters(MISTRALS_LENGTH)


def _letters(num: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(num))
