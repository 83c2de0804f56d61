"""Where the models of other applications lie on this machine, and which of them a person wants to see."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from app.library.documents import read_document, read_text
from app.library.folder_source import find_in_folder
from app.library.found import Found
from app.library.hf_cache import find_hf_cache
from app.library.jan import find_jan
from app.library.ollama import find_ollama
from app.library.origin import Origin
from app.library.scan import Unread
from backends.bounds import sentence

LINUX_SERVICE = Path("/usr/share/ollama/.ollama/models")
home = Path.home


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that is looked through as its application lays it out. Never written to."""

    origin: Origin
    path: str

    def models(self) -> Iterator[Found | Unread]:
        match self.origin:
            case Origin.FOLDER if not os.path.isdir(self.path):
                what = "no folder" if os.path.lexists(self.path) else "not there"
                text = f"{self.path} is {what}, so its models are not listed. Bring it back, or remove it in Settings."
                return iter((Unread(sentence(text)),))
            case Origin.OLLAMA:
                return find_ollama(self.path)
            case Origin.JAN:
                return find_jan(self.path)
            case Origin.HF_CACHE:
                return find_hf_cache(self.path)
            case _:
                return find_in_folder(self.path, self.origin)


def all_places(
    folders: Iterable[str], shown: Iterable[str], environ: Mapping[str, str], person: Path | None = None
) -> list[Place]:
    """The places that exist, each once, in the order of origins, and all that a person has added.

    shown: of other applications; person: their home.
    """
    at_home = person or home()
    finders: dict[Origin, Callable[[], list[Path]]] = {
        Origin.LM_STUDIO: lambda: lm_studio_folders(at_home),
        Origin.OLLAMA: lambda: ollama_folders(environ, at_home),
        Origin.JAN: lambda: jan_folders(environ, at_home),
        Origin.HF_CACHE: lambda: hf_cache_folders(environ, at_home),
    }
    wanted = set(shown)
    found = [(origin, path) for origin, finder in finders.items() if origin in wanted for path in finder()]
    found += [(Origin.FOLDER, Path(folder)) for folder in folders]
    places: dict[str, Place] = {}
    for origin, path in found:
        try:
            real = os.path.realpath(path)
        except ValueError:  # what another application's settings call a path need not be one
            continue
        if origin is Origin.FOLDER or os.path.isdir(real):
            places.setdefault(real, Place(origin, str(path)))
    return list(places.values())


def lm_studio_folders(at: Path) -> list[Path]:
    pointer = read_text(str(at / ".lmstudio-home-pointer"), 4096)
    homes = [*([Path(pointer)] if pointer else []), at / ".lmstudio", at / ".cache" / "lm-studio"]
    chosen = (read_document(str(each / "settings.json")).get("downloadsFolder") for each in homes)
    return [*map(Path, filter(_is_place, chosen)), *(each / "models" for each in homes)]


def ollama_folders(environ: Mapping[str, str], at: Path) -> list[Path]:
    """The person's own, and that of the system's service on Linux."""
    if chosen := environ.get("OLLAMA_MODELS"):
        return [_expanded(Path(chosen))]
    return [at / ".ollama" / "models", LINUX_SERVICE]


def jan_folders(environ: Mapping[str, str], at: Path) -> list[Path]:
    if sys.platform == "darwin":
        applications = at / "Library" / "Application Support"
    elif sys.platform == "win32":
        applications = Path(environ.get("APPDATA") or at / "AppData" / "Roaming")
    else:
        applications = Path(environ.get("XDG_DATA_HOME") or at / ".local" / "share")
    configured = Path(environ.get("XDG_CONFIG_HOME") or at / ".config") if sys.platform == "linux" else applications
    settings = (read_document(str(each / "Jan" / "settings.json")) for each in (applications, configured))
    chosen = (each.get("data_folder") for each in settings)
    return [*map(Path, filter(_is_place, chosen)), applications / "Jan" / "data", at / "jan"]


def _is_place(folder: object) -> TypeGuard[str]:
    """A relative one would be looked for wherever this application was started."""
    return isinstance(folder, str) and os.path.isabs(folder)


def hf_cache_folders(environ: Mapping[str, str], at: Path) -> list[Path]:
    """As huggingface_hub looks for it."""
    if chosen := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return [_expanded(Path(chosen))]
    cache = Path(environ.get("XDG_CACHE_HOME") or at / ".cache")
    return [_expanded(Path(environ.get("HF_HOME") or cache / "huggingface")) / "hub"]


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~somebody who is not known here
        return path
