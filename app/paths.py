"""Where the application keeps its files. Knows the folders, not what is in them."""

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

from app.signs import is_surely_ours
from backends.ownership.lock import lock_of, use_of
from backends.ownership.private import (
    make_folder,
    make_private_folder,
    tighten_file,
    tighten_folder,
    with_companions,
)

HOME_VARIABLE = "SLIPSTREAM_HOME"
# names in our folders; data lies beside the models on some systems, and config, data and logs in one on others
KNOWN = (
    *("config", "settings.toml*", ".settings.toml.*", "keys.json*", ".keys.json.*"),
    *("data", "slipstream.sqlite3*", ".slipstream.sqlite3.*", "library.json*", ".library.json.*"),
    *("engine-builds.json*", ".engine-builds.json.*"),
    *("benchmarks.sqlite3*", ".benchmarks.sqlite3.*"),
    *("model-ids.json*", ".model-ids.json.*", "responses.sqlite3*", ".responses.sqlite3.*"),
    *("running.json*", ".running.json.*"),
    *("cards", "*.card.json", "models", "chat-history", "benchmarks", "builds"),
    *("cache", "Cache", "prompts", "evaluations", "*.reference", "work-*", "library.sqlite3*", ".library.sqlite3.*"),
    *("performance.sqlite3*", ".performance.sqlite3.*", "search.sqlite3*"),
    *(
        "selftest*",
        "checked-models.json*",
        "guide-*",
        "demo-*",
        "bench-*",
        "build-*",
        ".slipstream-folder",
        "logs",
        "Logs",
        "*.log",
    ),
)


@dataclass(frozen=True, slots=True)
class Paths:
    config: Path
    data: Path
    models: Path
    cache: Path
    logs: Path

    @classmethod
    def from_environment(cls) -> "Paths":
        """The system's usual folders, or all of them below SLIPSTREAM_HOME."""
        home = os.environ.get(HOME_VARIABLE)
        if home:
            return cls.below(Path(home).expanduser().absolute())
        folders = PlatformDirs("Slipstream", appauthor=False)
        data = folders.user_data_path
        return cls(folders.user_config_path, data, data / "models", folders.user_cache_path, folders.user_log_path)

    @classmethod
    def below(cls, home: Path) -> "Paths":
        return cls(home / "config", home / "data", home / "models", home / "cache", home / "logs")

    @property
    def settings_file(self) -> Path:
        return self.config / "settings.toml"

    @property
    def keys_file(self) -> Path:
        """The hashes of the port's keys."""
        return self.config / "keys.json"

    @property
    def running_file(self) -> Path:
        """Where the port is that is open now, for commands."""
        return self.data / "running.json"

    @property
    def database_file(self) -> Path:
        return self.data / "slipstream.sqlite3"

    @property
    def remarks_file(self) -> Path:
        return self.data / "library.json"

    @property
    def ids_file(self) -> Path:
        return self.data / "model-ids.json"

    @property
    def index_file(self) -> Path:
        return self.cache / "library.sqlite3"

    @property
    def chat_history(self) -> Path:
        """What was typed in `slipstream chat`."""
        return self.data / "chat-history"

    @property
    def cards(self) -> Path:
        return self.data / "cards"

    @property
    def benchmarks(self) -> Path:
        """Pages of `slipstream bench`."""
        return self.data / "benchmarks"

    @property
    def bench_file(self) -> Path:
        """Its runs over time."""
        return self.data / "benchmarks.sqlite3"

    @property
    def builds(self) -> Path:
        """Builds of llama.cpp beside the installed one."""
        return self.data / "builds"

    @property
    def builds_state_file(self) -> Path:
        """Which of them have proved themselves."""
        return self.data / "engine-builds.json"

    @property
    def performance_file(self) -> Path:
        return self.cache / "performance.sqlite3"

    @property
    def search_file(self) -> Path:
        """What was said in the chats, indexed."""
        return self.cache / "search.sqlite3"

    @property
    def prompt_cache(self) -> Path:
        return self.cache / "prompts"

    def ensure(self) -> None:
        """Creates the folders that are missing. Raises OSError when the system does not allow it.

        All but the models are for their owner's eyes alone. What earlier versions made for everybody is tightened
        where a file in it tells that it is ours, unless others' files lie there too, or it is a link.
        """
        for folder in (self.config, self.data, self.cache, self.logs):
            make_private_folder(folder)
            tighten_folder(folder, KNOWN, is_surely_ours)
        make_folder(self.models)
        for file in (self.settings_file, self.keys_file, self.remarks_file, self.ids_file):
            tighten_file(file)
            tighten_file(lock_of(file))
        for file in (self.index_file, self.performance_file, self.bench_file, *with_companions(self.database_file)):
            tighten_file(file)
        for file in (lock_of(self.index_file), lock_of(self.database_file), use_of(self.database_file)):
            tighten_file(file)
        for folder in (self.cards, self.cache / "evaluations"):
            tighten_folder(folder, KNOWN, is_surely_ours)
