"""Where the application keeps its files. Knows the folders, not what is in them."""

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

HOME_VARIABLE = "SLIPSTREAM_HOME"


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
    def database_file(self) -> Path:
        return self.data / "slipstream.sqlite3"

    @property
    def cards(self) -> Path:
        return self.data / "cards"

    @property
    def prompt_cache(self) -> Path:
        return self.cache / "prompts"

    def ensure(self) -> None:
        """Creates the folders that are missing. Raises OSError when the system does not allow it."""
        for folder in (self.config, self.data, self.models, self.cache, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
