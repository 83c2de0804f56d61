"""RAM, by psutil."""

import psutil

from app.telemetry.sample import Host


class HostProvider:
    def __init__(self) -> None:
        self._process = psutil.Process()

    def read(self) -> Host:
        ram = psutil.virtual_memory()
        return Host(ram.total - ram.available, ram.total, self._process.memory_info().rss)

    def close(self) -> None:
        pass
