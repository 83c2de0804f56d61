"""`slipstream jobs`: what the Slipstream that runs is downloading, converting, quantizing or measuring."""

import argparse
from typing import Any

from app.cli.terminal import show, warn
from backends.bounds import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cancel", metavar="ID", type=int, help="end one, by its number")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Raises SlipstreamError, also for a job that has ended before it could be cancelled."""
    from app.cli.running_app import wanted_app

    app = wanted_app()
    if arguments.cancel is not None:
        job = app.post("jobs/cancel", id=arguments.cancel)
        warn(f"Job {job['id']}, “{printable(job['title'])}”, is cancelled.")
    jobs = app.get("jobs")["jobs"]
    show(arguments, {"jobs": jobs}, lambda: "\n".join(map(_line, jobs)) or "There are no jobs.")
    return 0


def _line(job: dict[str, Any]) -> str:
    step = f", {printable(job['steps'][job['step']])} {job['fraction']:.0%}" if job["state"] == "running" else ""
    error = f": {printable(job['error'])}" if job["error"] else ""
    return f"{job['id']:>3}  {printable(job['title'])}  {job['state']}{step}{error}"
