"""Which names may become files in the library, on every system that it may be copied to."""

from app.errors import ModelFileError

MAX_NAME = 128
MAX_ID = 255  # characters of a model's id, which may be a path
RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)
FORBIDDEN = frozenset('/\\:*?"<>|')
CHECKPOINT = "checkpoint"  # the folder of a checkpoint that was kept as it is, below its repository's


def checked_name(name: str, what: str) -> str:
    """The name itself. Raises ModelFileError when it could leave its folder or is no file name somewhere."""
    is_bad = (
        not name
        or len(name) > MAX_NAME
        or name.strip(" .") != name  # "." and ".." too; Windows drops dots and spaces at the end
        or name.partition(".")[0].strip().lower() in RESERVED
        or any(c in FORBIDDEN or not c.isprintable() for c in name)
    )
    if is_bad:
        raise ModelFileError(f"{name[:MAX_NAME]!r} cannot be the name of a {what}. Choose another name.")
    return name
