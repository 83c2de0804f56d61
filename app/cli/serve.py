"""`slipstream serve`: the port, without a window unless one is wanted."""

import argparse
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.access import ANY, Access, host_from, origin_from
from app.cli.api_key import VARIABLE, wanted_key
from app.cli.ending import EXIT_INTERRUPTED, ending
from app.cli.engine_options import add_engine_options, engine_options
from app.cli.terminal import warn
from app.errors import UsageError
from backends.protocol import EngineOptions

if TYPE_CHECKING:
    from app.inference.engine_handle import EngineHandle
    from app.inference.standby import Standby
    from app.server.server import Server
    from app.services import Services

FIRST_KEY = "serve"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", action="append", metavar="M", help="a model's id or a GGUF file; may be repeated")
    parser.add_argument("--host", help="address to listen on (that of the settings, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (that of the settings, else 8642)")
    parser.add_argument(
        "--api-key",
        metavar="K",
        help="key that every request needs; a port that other machines reach makes one if there is none",
    )
    parser.add_argument("--api-key-file", metavar="FILE", help=f"file that holds the key (or set {VARIABLE})")
    parser.add_argument(
        "--allow-host",
        action="append",
        metavar="NAME",
        help="also answer to this host name; * allows any while a key is required; may be repeated",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        metavar="ORIGIN",
        help="web page or extension that may call, e.g. http://localhost:3000, app://obsidian.md, vscode-webview://*; "
        "may be repeated",
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="serve HTTPS with this certificate (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="its key (PEM, without a password)")
    parser.add_argument("--window", action="store_true", help="also open the window, on the same engines")
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.port is not None and not 1 <= arguments.port <= 65535:
        raise UsageError(f"--port must lie between 1 and 65535, not {arguments.port}.")
    engine_options(arguments, EngineOptions())  # a wrong flag is told before anything starts
    access = Access(
        tuple(map(host_from, arguments.allow_host or ())), tuple(map(origin_from, arguments.allow_origin or ()))
    )
    if arguments.tls_cert or arguments.tls_key:
        _check_certificate(arguments)
    asked = ending()
    key, notes = wanted_key(arguments.api_key, arguments.api_key_file)
    for note in notes:
        print(f"slipstream: {note}", file=sys.stderr)
    from app.inference.standby import Standby

    standby = Standby(len(arguments.model or ()))  # first of all: it imports for as long as what follows
    try:
        return _serve(arguments, key, access, asked, standby)
    finally:
        standby.close()


def _serve(
    arguments: argparse.Namespace, key: str | None, access: Access, asked: threading.Event, standby: "Standby"
) -> int:
    from app.paths import Paths
    from app.services import Services

    services = Services(Paths.from_environment(), standby)
    try:
        for notice in services.take_notices():
            warn(notice)
        host = arguments.host or services.settings.host
        made = None if key else _made_key(services, host)
        tls = arguments.tls_cert, arguments.tls_key
        try:
            url = services.open_server(host, arguments.port, key, access, tls)  # told before minutes of loading
        except BaseException:
            if made:  # nobody has seen it
                services.keys.revoke(FIRST_KEY)
            raise
        if made:  # told at once: it is kept, whatever fails from here on
            print(f"slipstream: other machines can reach this port; its API key is {made}", file=sys.stderr)
            warn(f"it is kept as “{FIRST_KEY}” and not shown again; “slipstream keys” lists, adds and revokes keys")
        if ANY in access.hosts and not services.server.needs_key:
            raise UsageError(
                "“--allow-host *” needs a key, else any web page could pass for this machine. "
                "Make one: slipstream keys --add NAME"
            )
        handles = _load(services, arguments)
        if not handles:
            _take_up(services)
        services.server.answer()
        print(f"Slipstream is listening on {url}", flush=True)
        _wait_for(handles, asked)
        standby.close()
        if asked.is_set():
            for handle in handles:
                handle.close_unloaded()
            return EXIT_INTERRUPTED
        if handles:
            _take_up(services)  # what is left of earlier runs has time until the models are there
        return _stay(services, arguments, asked)
    finally:
        services.close()


def _check_certificate(arguments: argparse.Namespace) -> None:
    """Raises UsageError."""
    from app.server.tls import certificate_from

    if certificate := certificate_from(arguments.tls_cert, arguments.tls_key):
        certificate.context()


def _made_key(services: "Services", host: str) -> str | None:
    """One for a port that others can reach, where there is none."""
    from app.server.auth import is_loopback

    if is_loopback(host) or services.settings.api_key or services.keys.all():
        return None
    return services.keys.add(FIRST_KEY)


def _load(services: "Services", arguments: argparse.Namespace) -> "list[EngineHandle]":
    """Begin to load all models named, side by side. Raises for the first name that stands for none."""
    from app.cli.model_name import find_model

    entries = {entry.path: entry for entry in (find_model(name, services) for name in arguments.model or [])}
    names = {path: services.directory.free_name(entry, entries.values()) for path, entry in entries.items()}
    return [
        services.load_model(entry, names[path], engine_options(arguments, services.options_for(entry)), is_pinned=True)
        for path, entry in entries.items()
    ]


def _wait_for(handles: "Sequence[EngineHandle]", asked: threading.Event) -> None:
    """Until all are loaded; raises with the first one that fails."""
    from app.inference.engine_handle import EngineState
    from app.library.entry import kind_of

    for handle in handles:
        while handle.snapshot.state is EngineState.LOADING:
            if asked.wait(0.05):
                return
        ready = handle.wait_ready()
        kind = kind_of(ready)
        warn(f"{ready.name} is loaded on {ready.device}{f'. {kind}' if kind else ''}")
        for note in ready.notes:
            warn(note)


def _take_up(services: "Services") -> None:
    """Installs that an earlier run has left unfinished."""
    from app.jobs.job import JobState

    services.recover_installs()
    for notice in services.take_notices():
        warn(notice)
    for job in services.jobs.jobs():
        is_paused = job.state is JobState.PAUSED
        warn(f"{job.title} {'is paused' if is_paused else 'goes on where it stopped'}")


def _stay(services: "Services", arguments: argparse.Namespace, asked: threading.Event) -> int:
    """Until the end: the exit code."""
    from app.cli.engine_news import EngineNews
    from app.library.own_models import FIRST_MODEL

    if not services.directory.names():
        warn(f"There is no model to answer with yet. {FIRST_MODEL}")
    if arguments.window:
        return _open_window(services, asked)
    news = EngineNews()
    services.supervisor.subscribe(news.hear)
    services.telemetry.subscribe(news.hear_sample)
    return wait(asked, services.server)


def _open_window(services: "Services", asked: threading.Event) -> int:
    """Raises UsageError where one is open already: two would write the same settings."""
    from app.cli.window import only_window, open_window

    one = only_window()
    if one and not one.take_or_tell([]):
        raise UsageError("Slipstream's window is open already, and can serve this port too. Leave --window out.")
    return open_window(services, asked, one=one)


def wait(asked: threading.Event, server: "Server") -> int:
    """Until it is asked to end, or the port has ended by itself: the exit code."""
    while not asked.wait(0.5):  # Windows does not interrupt a wait without end
        if server.trouble:
            print(f"slipstream: {server.trouble}", file=sys.stderr)
            return 1
    return 0
