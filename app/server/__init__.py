"""The local port: OpenAI's routes over the same engines that the window uses."""

from app.server.auth import new_api_key
from app.server.core.directory import ModelDirectory
from app.server.server import Server

__all__ = ["ModelDirectory", "Server", "new_api_key"]
