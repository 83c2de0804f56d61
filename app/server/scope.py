"""What a key lets its programs do."""

from enum import StrEnum


class Scope(StrEnum):
    """USE: ask models, and read what there is. MANAGE: beyond that load and unload them, install and delete them, and
    call off jobs of others."""

    USE = "use"
    MANAGE = "manage"
