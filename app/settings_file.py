"""The settings on disk: one TOML file, which several processes read and change. Nothing in it can hold up a start."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w

from app.errors import SettingsError
from app.settings import Settings, document_of, settings_from
from app.whole_file import PATIENCE, changing_file, keep_copy, reason, replace_file, set_aside
from backends.regular_file import OddFileError, read_regular

VERSION = 1
MAX_BYTES = 1 << 20
Change = Callable[[Settings], Settings]

# What holds no keys; an unfinished one goes up to where it would have to end, so that each is passed once.
_TEXT_OR_COMMENT = re.compile(
    r'"""(?:[^"\\]|\\.?|"(?!""))*+(?:""")?'
    r"|'''(?:[^']|'(?!''))*+(?:''')?"
    r'|"(?:[^"\\\n]|\\[^\n]?)*+"?'
    r"|'[^'\n]*+'?"
    r"|\#[^\n]*+",
    re.DOTALL,
)
# tomllib takes 28 s for a key of 40,000 dots, and 5 s for many of 100; ours have none
_LONG_KEY = re.compile(r"""(?<![\w"-])(?:[\w"-]++[ \t]*+\.[ \t]*+){16}""")


class SettingsFile:
    """Thread-safe, and safe beside other processes. A change is a function of what the file says at that moment."""

    def __init__(self, path: Path):
        self.path = path

    def load(self) -> tuple[Settings, str | None]:
        """The settings, and a sentence for a banner when something in the file could not be used."""
        try:
            settings, rejected, _ = _read(self.path)
        except (ValueError, OddFileError) as fault:
            return Settings(), self._give_up(fault)
        except OSError as error:
            return Settings(), f"The settings could not be read ({reason(error)}). Slipstream uses its defaults."
        if not rejected:
            return settings, None
        names = ", ".join(rejected)
        return settings, f"In {self.path.name} these settings are not usable; their defaults hold: {names}."

    def change(self, change: Change, patience: float = PATIENCE) -> Settings:
        """What is in the file now, changed and written. Raises SettingsError; then the file is as it was."""
        try:
            with changing_file(self.path, patience):
                settings, is_whole = self._current()
                changed = change(settings)
                _require_usable(changed)
                if changed != settings:
                    if not is_whole:  # what this version does not understand is not lost
                        keep_copy(self.path)
                    save_settings(self.path, changed)
        except OSError as error:
            raise SettingsError(f"The settings could not be kept in {self.path}: {reason(error)}.") from error
        return changed

    def _current(self) -> tuple[Settings, bool]:
        """And whether it says all that the file says. One that cannot be read is not written over: OSError."""
        try:
            settings, rejected, is_newer = _read(self.path)
        except (ValueError, OddFileError):
            set_aside(self.path)
            return Settings(), True
        return settings, not rejected and not is_newer

    def _give_up(self, fault: Exception) -> str:
        what = f" ({reason(fault)})" if isinstance(fault, OddFileError) else ""
        try:
            with changing_file(self.path):
                target = self._set_aside_if_still_broken()
        except OSError as error:
            return (
                f"The settings file {self.path} is broken{what} and could not be set aside ({reason(error)}). "
                "Defaults are used."
            )
        if target is None:
            return "The settings file was broken; another Slipstream has begun a new one. Defaults are used."
        return f"The settings file was broken{what}. It is kept as {target.name}, and Slipstream uses its defaults."

    def _set_aside_if_still_broken(self) -> Path | None:
        try:
            _read(self.path)
        except (ValueError, OddFileError):
            return set_aside(self.path)
        return None


def load_settings(path: Path) -> tuple[Settings, str | None]:
    return SettingsFile(path).load()


def save_settings(path: Path, settings: Settings) -> None:
    """Replace the file in one step, whatever it says. Raises OSError."""
    content = tomli_w.dumps({"version": VERSION, **document_of(settings)}).encode()
    if len(content) > MAX_BYTES:
        raise OSError(None, f"they would take more than {MAX_BYTES >> 20} MiB")
    replace_file(path, content)


def _require_usable(settings: Settings) -> None:
    """What the next start would not take is not written. Raises SettingsError."""
    _, rejected = settings_from(document_of(settings))
    if rejected:
        raise SettingsError(f"These settings cannot be kept, as they are too long or odd: {', '.join(rejected)}.")


def _read(path: Path) -> tuple[Settings, tuple[str, ...], bool]:
    """The settings, those that are not usable, and whether a later version wrote them. ValueError: it is broken."""
    try:
        content = read_regular(path, MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return Settings(), (), False
    document = _parsed(content.decode("utf-8-sig"))  # as some editors save it
    settings, rejected = settings_from(document)
    version = document.get("version", VERSION)
    return settings, rejected, version != VERSION


def _parsed(text: str) -> dict[str, Any]:
    if _LONG_KEY.search(_TEXT_OR_COMMENT.sub('""', text)):
        raise ValueError("a key of more parts than any of ours")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
