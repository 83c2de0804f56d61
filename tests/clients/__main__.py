"""Drives other programs' clients against `slipstream serve` with SmolLM2, each installed in an environment of its own;
and runs other projects' own tests against it.

`python -m tests.clients [NAME …]` writes tests/bench/results/clients.{json,md}; with names, the rows of those anew.
`--pin NAME …` searches for the newest packages of those instead, and writes them to pins/.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.servers import Server, Setting, running, slipstream
from tests.clients import environments
from tests.clients.clients import CLIENTS, SUITES, Client, Suite
from tests.clients.environments import Environment, NotInstalled
from tests.real import things

CHECKOUT = Path(__file__).parents[2]
DRIVES = Path(__file__).parent / "drives"
RESULTS = Path(__file__).parents[1] / "bench" / "results"
CONTEXT, PARALLEL = 4096, 2
PATIENCE = 3600  # seconds for all steps of a client, or all tests of a suite: on a busy machine a step takes minutes
ALL = (*CLIENTS, *SUITES)
EXACT = {"lm-eval"}  # clients for which a model is loaded that says the same however it is asked

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(each.name for each in ALL))
    parser.add_argument("--pin", action="store_true", help="write down the newest packages, and drive nothing")
    options = parser.parse_args()
    names = options.names or [each.name for each in ALL]
    chosen = [each for each in ALL if each.name in names]
    if len(chosen) < len(set(names)):
        parser.error("there is no such client")
    if options.pin:
        for each in chosen:
            print(each.pin(), flush=True)
        return 0
    rows: list[Row] = []
    for some in driven_all(chosen):
        for row in some:
            print(line(row), flush=True)
            rows.append(row)
        write(rows)
    return 0 if all(row["passed"] for row in rows) else 1


def driven_all(chosen: Sequence[Client | Suite]) -> Iterator[Iterator[Row]]:
    clients = [each for each in chosen if isinstance(each, Client)]
    if clients:
        exact = ("--model", str(exact_model())) if EXACT & {client.name for client in clients} else ()
        with running(slipstream(), Setting(things.smollm2(), CONTEXT, PARALLEL, extra=exact), pause=False) as server:
            for client in clients:
                yield driven(client, partial(steps, client, server))
    for suite in chosen:
        if isinstance(suite, Suite):
            yield driven(suite, partial(tested, suite))


def driven(client: Client | Suite, drive: Callable[[Environment], Iterator[Row]]) -> Iterator[Row]:
    """A row for each step; or one that says why none was done."""
    on = str(date.today())
    try:
        environment = client.install()
    except NotInstalled as fault:
        told = {"step": "install", "passed": False, "sentence": str(fault)}
        yield {"client": client.name, "on": on, "versions": {}} | told
        return
    versions = environment.versions
    if isinstance(client, Suite):  # beside what is tested, it has what tests with
        versions = {client.subject: versions[client.subject]} if client.subject else {}
    for told in drive(environment):
        yield {"client": client.name, "on": on, "versions": versions} | told


def steps(client: Client, server: Server, environment: Environment) -> Iterator[Row]:
    model = things.smollm2().stem
    command = [*environment.command, str(DRIVES / client.drive), str(server.port), model, str(environment.folder)]
    # for drives that compare with what our own commands say of the same file
    own = (
        {"SLIPSTREAM_PYTHON": sys.executable, "SLIPSTREAM_EXACT_MODEL": str(exact_model())}
        if client.name in EXACT
        else {}
    )
    said, fault = output_of(command, PATIENCE, own)
    yield from said
    if fault:
        yield {"step": "to the end", "passed": False, "sentence": fault}


def tested(suite: Suite, _: Environment) -> Iterator[Row]:
    """One row, of all its tests. Whether as many pass as must, is for the module to say."""
    said, fault = output_of([sys.executable, "-m", suite.module], PATIENCE)
    told = said[-1] if said else {"step": "its own tests", "sentence": fault}
    yield told | {"passed": bool(said) and not fault}


def output_of(command: list[str], patience: float, more: Mapping[str, str] | None = None) -> tuple[list[Row], str]:
    """The steps that a program tells of, a JSON object a line; and why it did not end well, or nothing."""
    fault = ""
    try:
        environment = {**os.environ, **(more or {})}
        done = subprocess.run(
            command, cwd=CHECKOUT, capture_output=True, text=True, timeout=patience, check=False, env=environment
        )
        said = done.stdout
        if done.returncode:
            fault = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode("utf-8", "replace")
        fault = f"not done after {patience // 60:.0f} minutes"
    return [json.loads(text) for text in said.splitlines() if text.startswith('{"step"')], fault


def exact_model() -> Path:
    """SmolLM2 in F16, made once of its quantized file: kernels for quantized weights scatter by more than 1e-3 with the
    number of tokens that they are given at a time."""
    path = environments.home() / "models" / "SmolLM2-135M-Instruct.F16.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "app", "quantize", str(things.smollm2()), str(path), "--type", "F16"]
        subprocess.run([*command, "--allow-requantize"], check=True, cwd=CHECKOUT)
    return path


def write(rows: list[Row]) -> None:
    """Rows of clients that were not driven now stay as they are."""
    path = RESULTS / "clients.json"
    old = json.loads(path.read_text("utf-8")) if path.exists() else []
    driven_now = {row["client"] for row in rows}
    by_client = [*(row for row in old if row["client"] not in driven_now), *rows]
    order = [each.name for each in ALL]
    known = sorted((row for row in by_client if row["client"] in order), key=lambda row: order.index(row["client"]))
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")
    passed = sum(row["passed"] for row in known)
    text = [
        "# Clients of other programs",
        "",
        "Each installed in an environment of its own and driven against `slipstream serve` with SmolLM2-135M-Instruct "
        f"(`make clients`; the steps are in `tests/clients/drives`). {passed} of {len(known)} steps passed. "
        f"{' and '.join(suite.name for suite in SUITES)} are other projects' own tests, on servers of their own.",
        "",
        "| client | driven | | on | sentence |",
        "|---|---|---|---|---|",
        *map(line, known),
        "",
    ]
    (RESULTS / "clients.md").write_text("\n".join(text), "utf-8")


def line(row: Row) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in row["versions"].items())
    sentence = " ".join(row["sentence"].split()).replace("|", "\\|")
    return (
        f"| {versions or row['client']} | {row['step']} | {'passed' if row['passed'] else '**failed**'} "
        f"| {row.get('on', '')} | {sentence} |"
    )


if __name__ == "__main__":
    sys.exit(main())
