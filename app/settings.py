"""What a person has chosen, as values. Knows no window, no engine process and no file."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from app.access import MAX_ENTRIES, host_from, origin_from
from app.errors import UsageError
from app.tools.servers import Grant, ToolServer, grants_from, servers_from
from backends.protocol import DraftMode, EngineOptions, KVType

THEMES = ("system", "light", "dark")
MAX_BYTES = 1 << 50
MAX_MINUTES = 60 * 24 * 365
FOREIGN = ("lm-studio", "ollama", "jan", "hf-cache")  # the names of app.library.origin
MAX_FOLDERS = 100
MAX_KEY, MAX_NAME, MAX_PATH = 512, 1024, 4096  # characters
MAX_HOST = 255
MAX_PROMPT = 1 << 17


@dataclass(frozen=True)
class Settings:
    """None means: not chosen; the model and the machine decide."""

    theme: str = "system"
    port: int = 8642
    serve: bool = True  # the port opens with the window
    host: str = "127.0.0.1"  # the port's address: who reaches it
    api_key: str | None = None  # of earlier versions, in the clear; it still holds, beside those of `slipstream keys`
    allow_hosts: tuple[str, ...] = ()  # names beside this machine's own by which the port may be called
    allow_origins: tuple[str, ...] = ()  # of web pages that may use it
    tls_cert: str | None = None  # absolute paths of PEM files; with both the port speaks HTTPS
    tls_key: str | None = None
    answer_any_name: bool = False  # a loaded model answers programs that ask for one that is not there
    last_model: str | None = None
    context: int | None = None
    parallel: int = 4
    kv_type_k: KVType = KVType.F16
    kv_type_v: KVType = KVType.F16
    draft: DraftMode = DraftMode.AUTO
    threads: int | None = None
    gpu_layers: int | None = None
    engine_build: str | None = None  # of `slipstream builds`; none: the newest that does well here
    prompt_cache_ram: int = 512 << 20  # bytes; 0: off
    prompt_cache_disk: int = 4 << 30
    model_memory: int | None = None  # bytes of RAM that all loaded models together may take; None: what is free
    unload_minutes: int = 60  # without a request, after which a model that is not pinned is unloaded; 0: never
    temperature: float = 0.7
    system_prompt: str = ""
    folders: tuple[str, ...] = ()  # of models, which are listed as they lie
    libraries: tuple[str, ...] = FOREIGN  # of other applications, which are listed as well
    tool_servers: tuple[ToolServer, ...] = ()  # MCP servers whose tools chats may offer
    tool_grants: tuple[Grant, ...] = ()  # what a person has said of single tools

    @property
    def idle_seconds(self) -> float | None:
        return 60.0 * self.unload_minutes or None

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


def settings_from(document: dict[str, Any]) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a document, and the names of those that are not usable: their defaults hold."""
    values: dict[str, Any] = {}
    rejected: list[str] = []
    for field in fields(Settings):
        if field.name not in document:
            continue
        try:
            values[field.name] = _PARSERS[field.name](document[field.name])
        except (ValueError, TypeError, RecursionError):  # what a parser compares may be anything
            rejected.append(field.name)
    return Settings(**values), tuple(rejected)


def document_of(settings: Settings) -> dict[str, Any]:
    """What `settings_from` reads."""
    return asdict(settings, dict_factory=lambda pairs: {key: value for key, value in pairs if value is not None})


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


def _text(most: int) -> Parser:
    """Of so many characters; none that stands for half of one, which no file could hold."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise ValueError(value)
        value.encode()  # UnicodeEncodeError is a ValueError
        return value

    return parse


def _folders(value: Any) -> tuple[str, ...]:
    """Absolute ones, each once; a relative one would mean another place in every shell."""
    if not isinstance(value, list | tuple) or len(value) > MAX_FOLDERS:
        raise ValueError(value)
    for folder in value:
        if not isinstance(folder, str) or len(folder) > MAX_PATH or "\0" in folder or not Path(folder).is_absolute():
            raise ValueError(value)
    return tuple(dict.fromkeys(value))


def _libraries(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(name in FOREIGN for name in value):
        raise ValueError(value)
    return tuple(name for name in FOREIGN if name in value)


def _names(parse: Callable[[str], str]) -> Parser:
    """A list of such, each once. Those that are none spoil the list: a person should see that it does not hold."""

    def parse_all(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or len(value) > MAX_ENTRIES:
            raise ValueError(value)
        try:
            return tuple(dict.fromkeys(parse(_text(MAX_NAME)(each)) for each in value))
        except UsageError as error:
            raise ValueError(str(error)) from error

    return parse_all


def _file(value: Any) -> str:
    """An absolute path; whether something lies there is seen when it is needed."""
    path: str = _text(MAX_PATH)(value)
    if "\0" in path or not Path(path).is_absolute():
        raise ValueError(value)
    return path


def _theme(value: Any) -> Any:
    if value not in THEMES:
        raise ValueError(value)
    return value


_PARSERS: dict[str, Parser] = {
    "theme": _theme,
    "port": _integer(1, 65_535),
    "serve": _instance(bool),
    "host": _text(MAX_HOST),
    "api_key": _text(MAX_KEY),
    "allow_hosts": _names(host_from),
    "allow_origins": _names(origin_from),
    "tls_cert": _file,
    "tls_key": _file,
    "answer_any_name": _instance(bool),
    "last_model": _text(MAX_NAME),
    "context": _integer(64, 2**24),
    "parallel": _integer(1, 64),
    "kv_type_k": KVType,
    "kv_type_v": KVType,
    "draft": DraftMode,
    "threads": _integer(1, 1024),
    "gpu_layers": _integer(0, 100_000),
    "engine_build": _text(MAX_NAME),
    "prompt_cache_ram": _integer(0, MAX_BYTES),
    "prompt_cache_disk": _integer(0, MAX_BYTES),
    "model_memory": _integer(1 << 20, MAX_BYTES),
    "unload_minutes": _integer(0, MAX_MINUTES),
    "temperature": _number(0, 2),
    "system_prompt": _text(MAX_PROMPT),
    "folders": _folders,
    "libraries": _libraries,
    "tool_servers": servers_from,
    "tool_grants": grants_from,
}
