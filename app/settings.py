"""What a person has chosen, kept in one TOML file. Knows no window and no engine process."""

import os
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any

import tomli_w

from backends.ownership.files import delete_file
from backends.ownership.private import make_private_folder
from backends.protocol import DraftMode, EngineOptions, KVType

VERSION = 1
THEMES = ("system", "light", "dark")
MAX_BYTES = 1 << 50
FOREIGN = ("lm-studio", "ollama", "jan", "hf-cache")  # the names of app.library.origin
MAX_FOLDERS = 100


@dataclass(frozen=True)
class Settings:
    """None means: not chosen; the model and the machine decide."""

    theme: str = "system"
    port: int = 8642
    serve: bool = True  # the port opens with the window
    api_key: str | None = None
    last_model: str | None = None
    context: int | None = None
    parallel: int = 4
    kv_type_k: KVType = KVType.F16
    kv_type_v: KVType = KVType.F16
    draft: DraftMode = DraftMode.AUTO
    threads: int | None = None
    gpu_layers: int | None = None
    prompt_cache_ram: int = 512 << 20  # bytes; 0: off
    prompt_cache_disk: int = 4 << 30
    temperature: float = 0.7
    system_prompt: str = ""
    folders: tuple[str, ...] = ()  # of models, which are listed as they lie
    libraries: tuple[str, ...] = FOREIGN  # of other applications, which are listed as well

    def engine_options(self) -> EngineOptions:
        return EngineOptions(
            context=self.context,
            parallel=self.parallel,
            gpu_layers=self.gpu_layers,
            threads=self.threads,
            kv_type_k=self.kv_type_k,
            kv_type_v=self.kv_type_v,
            draft=self.draft,
            prompt_cache_ram=self.prompt_cache_ram,
            prompt_cache_disk=self.prompt_cache_disk or None,
        )


def load_settings(path: Path) -> tuple[Settings, str | None]:
    """The settings, and a sentence for a banner when something in the file could not be used."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Settings(), None
    except ValueError:  # not TOML, or not UTF-8
        return Settings(), _give_up_on(path)
    except OSError as error:
        return Settings(), f"The settings could not be read ({error}). Slipstream uses its defaults."
    return _from_document(document, path)


def save_settings(path: Path, settings: Settings) -> None:
    """Replace the file in one step: a reader, or a crash, finds the old or the new one. Raises OSError."""
    chosen = {key: value for key, value in asdict(settings).items() if value is not None}
    content = tomli_w.dumps({"version": VERSION, **chosen}).encode()
    make_private_folder(path.parent)
    # mkstemp makes it readable for its owner alone: the file may hold a key
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        delete_file(Path(name))
        raise


def set_aside(path: Path) -> Path:
    """Rename an unusable file to the first free `<name>.broken-<n>`; nothing is deleted. Raises OSError."""
    for number in count(1):
        target = path.with_name(f"{path.name}.broken-{number}")
        if not target.exists():
            break
    os.replace(path, target)
    return target


def _give_up_on(path: Path) -> str:
    try:
        target = set_aside(path)
    except OSError as error:
        return f"The settings file {path} is broken and could not be set aside ({error}). Defaults are used."
    return f"The settings file was broken. It is kept as {target.name}, and Slipstream uses its defaults."


def _from_document(document: dict[str, Any], path: Path) -> tuple[Settings, str | None]:
    values: dict[str, Any] = {}
    rejected: list[str] = []
    for field in fields(Settings):
        if field.name not in document:
            continue
        try:
            values[field.name] = _PARSERS[field.name](document[field.name])
        except ValueError:
            rejected.append(field.name)
    if not rejected:
        return Settings(**values), None
    sentence = f"In {path.name} these settings are not usable; their defaults hold: {', '.join(rejected)}."
    return Settings(**values), sentence


Parser = Callable[[Any], Any]


def _integer(low: int, high: int) -> Parser:
    def parse(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:  # bool is an int, and not meant
            raise ValueError(value)
        return value

    return parse


def _number(low: float, high: float) -> Parser:
    def parse(value: Any) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise ValueError(value)
        return float(value)

    return parse


def _instance(kind: type) -> Parser:
    def parse(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(value)
        return value

    return parse


def _folders(value: Any) -> tuple[str, ...]:
    """Absolute ones, each once; a relative one would mean another place in every shell."""
    if not isinstance(value, list | tuple) or len(value) > MAX_FOLDERS:
        raise ValueError(value)
    if not all(isinstance(folder, str) and "\0" not in folder and Path(folder).is_absolute() for folder in value):
        raise ValueError(value)
    return tuple(dict.fromkeys(value))


def _libraries(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(name in FOREIGN for name in value):
        raise ValueError(value)
    return tuple(name for name in FOREIGN if name in value)


def _theme(value: Any) -> Any:
    if value not in THEMES:
        raise ValueError(value)
    return value


_PARSERS: dict[str, Parser] = {
    "theme": _theme,
    "port": _integer(1, 65_535),
    "serve": _instance(bool),
    "api_key": _instance(str),
    "last_model": _instance(str),
    "context": _integer(64, 2**24),
    "parallel": _integer(1, 64),
    "kv_type_k": KVType,
    "kv_type_v": KVType,
    "draft": DraftMode,
    "threads": _integer(1, 1024),
    "gpu_layers": _integer(0, 100_000),
    "prompt_cache_ram": _integer(0, MAX_BYTES),
    "prompt_cache_disk": _integer(0, MAX_BYTES),
    "temperature": _number(0, 2),
    "system_prompt": _instance(str),
    "folders": _folders,
    "libraries": _libraries,
}
