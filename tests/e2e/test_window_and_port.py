"""The window and a program on the port talk to one engine at once, and each hears what it hears alone."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from openai import OpenAI
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.guide import SUGGESTED_QUESTIONS, TOUR_QUESTION
from app.paths import Paths
from app.services import Services
from tests.guide.answers import ANSWERS
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.theme import Theme

LIMIT_MS = 360_000


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services(Paths.below(tmp_path / "home"))
    services.supervisor._watch = None  # an engine may stand still here
    services.change_settings(lambda settings: replace(settings, temperature=0.0, serve=False, port=_free_port()))
    yield services
    services.close()


@pytest.fixture
def window(services: Services, qapp: QApplication, qtbot: QtBot) -> Iterator[MainWindow]:
    bridge = Bridge()
    stop = listen(services, bridge)
    window = MainWindow(services, bridge, Theme(qapp, "light"))
    qtbot.addWidget(window)
    window.show()
    window.guide.install()
    qtbot.waitUntil(lambda: window.desk.is_ready, timeout=LIMIT_MS)
    yield window
    window.close()
    stop()
    bridge.close()


def test_openai_streams_while_the_window_chats_with_the_same_engine(
    services: Services, window: MainWindow, qtbot: QtBot
) -> None:
    url = services.start_server()
    (handle,) = services.supervisor.engines()
    pid, session, heard = handle.pid, window.chat.session, list[str]()
    program = threading.Thread(target=_stream_all, args=(url, SUGGESTED_QUESTIONS, heard))
    engine = psutil.Process(pid)
    engine.suspend()  # until both have asked: else one of them may be answered before the other comes
    session.ask(TOUR_QUESTION)
    program.start()
    qtbot.waitUntil(lambda: len(handle._answers._sinks) == 2, timeout=LIMIT_MS)
    engine.resume()
    qtbot.waitUntil(lambda: not session.is_busy and not program.is_alive(), timeout=LIMIT_MS)
    program.join()
    assert session.turns[-1].text == ANSWERS[TOUR_QUESTION]
    assert heard == [ANSWERS[question] for question in SUGGESTED_QUESTIONS]
    assert [handle.pid for handle in services.supervisor.engines()] == [pid]


def _stream_all(url: str, questions: tuple[str, ...], heard: list[str]) -> None:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        for question in questions:
            stream = client.chat.completions.create(
                model="slipstream/guide",
                messages=[{"role": "user", "content": question}],
                temperature=0,
                stream=True,
            )
            heard.append("".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
