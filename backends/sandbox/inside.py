"""The inside of a sandbox's child: one job at a time, until the engine is gone. Knows no template and no grammar."""

import os
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from backends.bounds import MAX_REASON, sentence
from backends.child import redirect_output
from backends.sandbox.job import Begun, Bounds, Done, Failed, Job, Keep, Refused, Speak
from backends.sandbox.limits import bound_memory, end_with_parent, ending_after, leave_no_core


def main(connection: Connection, lifeline: Connection, bounds: Bounds, imports: tuple[str, ...]) -> None:
    """Its words go to the engine's log, which it inherits, or is told."""
    leave_no_core()
    end_with_parent()
    threading.Thread(target=_end_with_the_engine, args=(lifeline,), daemon=True).start()
    tools: dict[str, Any] = {}
    for name in imports:
        import_module(name)
    bound_memory(bounds.memory)
    connection.send(Done(None))
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        connection.send(Begun())
        if isinstance(message, Speak):
            redirect_output(message.log, is_new=False)
            connection.send(Done(None))
        elif isinstance(message, Keep):
            bound_memory(None)
            tools[message.name] = message.tool.unpack()
            bound_memory(bounds.memory)
            connection.send(Done(None))
        else:
            connection.send(_do(message, tools, bounds))


def _do(job: Job, tools: dict[str, Any], bounds: Bounds) -> Done | Failed:
    try:
        with ending_after(bounds):
            return Done(job.run(tools))
    except Refused as reason:
        return Failed(sentence(str(reason), MAX_REASON).rstrip("."))
    except MemoryError:
        return Failed(bounds.too_large, is_spent=True)
    except RecursionError:
        return Failed("it is nested too deeply")
    except Exception:  # the edge: a bug of ours, or of a library that foreign code has found
        traceback.print_exc()
        return Failed("it cannot be followed")


def _end_with_the_engine(lifeline: Connection) -> None:
    """The other end is never written to: it becomes readable when the engine is gone."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(0)
