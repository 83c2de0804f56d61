"""Runs the steps of a client and prints what came of each, a JSON object a line. Standard library only."""

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORT, MODEL = sys.argv[1], sys.argv[2]
CHECKOUT = Path(__file__).parents[3]
OWN_PYTHON, EXACT_MODEL = os.environ.get("SLIPSTREAM_PYTHON", ""), os.environ.get("SLIPSTREAM_EXACT_MODEL", "")
ROOT = f"http://127.0.0.1:{PORT}"
OPENAI = f"{ROOT}/v1"
KEY = "none"  # the port is on this machine, so it asks for none; clients want one
LONGEST = 400  # characters of a fault

STEPS: dict[str, Callable[[], Any]] = {}


def step(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """What is driven, in the table's words. A step passes unless it raises; what it returns stands beside it."""

    def register(function: Callable[[], Any]) -> Callable[[], Any]:
        STEPS[name] = function
        return function

    return register


def temperature_in(city: str) -> str:
    """Tells the temperature of a city in degrees Celsius."""
    CALLED.append(city)
    return "21"


CALLED: list[str] = []
# the same, as OpenAI's clients are told of it
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "temperature_in",
        "description": temperature_in.__doc__,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def run() -> None:
    for name, function in STEPS.items():
        CALLED.clear()
        try:
            said = asyncio.run(function()) if inspect.iscoroutinefunction(function) else function()
            told = {"step": name, "passed": True, "sentence": said or ""}
        except Exception as fault:
            sentence = " ".join(str(fault).split()) or "an assertion without words"
            told = {"step": name, "passed": False, "sentence": f"{type(fault).__name__}: {sentence}"[:LONGEST]}
        print(json.dumps(told), flush=True)
