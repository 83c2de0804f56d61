"""`slipstream chat` on the fake engine, for a terminal: `python -m tests.cli.talking FILE [HISTORY]`."""

import sys
from pathlib import Path

from app.cli.chat import converse
from app.cli.talk.choices import Choices
from app.cli.talk.interrupts import Interrupts
from app.cli.talk.session import Session
from app.inference.supervisor import Supervisor
from backends.protocol import EngineOptions


def main() -> int:
    interrupts, supervisor = Interrupts(), Supervisor(Path("logs"))
    supervisor.load("fake", Path(sys.argv[1]), EngineOptions(), backend="fake")
    try:
        session = Session(supervisor, "fake", interrupts, Choices())
        session.ready()
        return converse(session, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    finally:
        supervisor.close()


if __name__ == "__main__":
    sys.exit(main())
