"""llama.cpp's own tests of llama-server, in its external mode: `python -m tests.clients.llama_server_suite`.

The suite was written for servers that it starts itself, with models of 260 thousand parameters and flags of
llama-server; here one port with SmolLM2 stands for them. What rests on those is left out by name, each with its reason.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.bench.servers import Setting
from tests.clients import environments
from tests.clients.suites import Outcome, run_pytest, served, summary
from tests.real import things

PACKAGES = ("pytest", "pytest-xdist", "filelock", "numpy", "openai", "prometheus-client", "requests", "wget", "aiohttp")
PATIENCE = 1800
CONTEXT, PARALLEL = 256, 2  # those of its preset: 512 cells for two
LONG_CONTEXT = 2048
KEY = "sk-this-is-the-secret-key"  # the suite's own
GOAL = 0.9

SMALL = ("basic", "tokenize", "infill", "ignore_eos", "template", "ctx_shift", "completion", "chat_completion")
LONG = ("compat_anthropic",)
WITH_KEY = ("security",)
FRESH = (  # each counts what a server has done since it began
    "test_metrics.py::test_metrics_prometheus_format",
    "test_metrics.py::test_metrics_prompt_processed_and_cached",
    "test_metrics.py::test_metrics_predicted_total_matches_requests",
)

TEXT = "its assertion rests on the words, or on the number of tokens, of a model that is not here"
STARTED = "it asks for a server that was started with other flags of llama-server"
MODEL = "it asks for another model: for images, in parts, with tokens for infill, or with an adapter"
NOT_OURS = "it asks for llama-server's own web page, proxy, or a fingerprint that begins with b"
ORIGINS = "it asks that every website may use the port; here a person names those that may"

LEFT_OUT = {
    r"test_basic::test_server_multiple_addresses|test_server_props|test_server_models|test_server_slots": STARTED,
    r"test_load_split_model|test_infill_with|test_lora|vision_base64|local_media|tokenize_with_bos": MODEL,
    r"test_infill_without_input_extra|test_metrics_embedding_prompt": MODEL,
    r"test_no_ui|static_assets|cors_proxy": NOT_OURS,
    r"test_server_model_aliases|test_metrics_disabled|server_sleep": STARTED,
    r"test_template::(test_reasoning|test_date_inside|test_add_generation)": STARTED,
    r"test_ctx_shift_enabled|test_ctx_shift_disabled_short_prompt|test_ctx_shift_disabled_long": TEXT,
    r"test_completion::test_completion\[|test_completion::test_completion_stream\[": TEXT,
    r"stream_vs_non_stream|test_completion_with_tokens_input": STARTED,
    r"test_completion_with_openai_library|test_completion_stream_with_openai_library": TEXT,
    r"test_nocache_long|test_completion_unified|response_fields\[.*-32-|test_completion_prompt_cache": TEXT,
    r"test_n_probs_post_backend_sampling": STARTED,
    r"test_chat_completion::test_chat_completion(\[|_cached_tokens|_stream\[|_with_openai_library)": TEXT,
    r"test_chat_template($|_assistant_prefill|_continue_final_message_vllm)|test_apply_chat_template": STARTED,
    r"test_cors_": ORIGINS,
    r"thinking_history|thinking_with_reasoning_model": STARTED,
    r"test_metrics_timings_on_prompt_progress|test_return_progress": "it counts batches of 32 and 64 tokens",
}


def main() -> int:
    environment = environments.python("llama-server-suite", PACKAGES)
    folder = _suite(environment.folder)
    python, small = environment.command[0], Setting(things.smollm2(), CONTEXT // PARALLEL, PARALLEL)
    outcomes: list[Outcome] = []

    def drive(setting: Setting, tests: list[str], *flags: str) -> None:
        chosen = [test if test.startswith("--") else f"unit/{test}" for test in tests]
        with served(setting, flags) as server:
            address = {"DEBUG_EXTERNAL": "1", "PORT": str(server.port)}
            outcomes.extend(run_pytest(python, folder, chosen, address, PATIENCE))

    apart = [f"--deselect=unit/{test}" for test in FRESH]
    drive(small, [*(f"test_{name}.py" for name in SMALL), "test_metrics.py", *apart])
    for test in FRESH:
        drive(small, [test])
    drive(Setting(things.smollm2(), LONG_CONTEXT, 1), [f"test_{name}.py" for name in LONG])
    drive(small, [f"test_{name}.py" for name in WITH_KEY], "--api-key", KEY)
    passed, counted = summary("llama.cpp's server tests", outcomes, LEFT_OUT)
    return 0 if counted and passed / counted >= GOAL else 1


def _suite(folder: Path) -> Path:
    """A copy that it may write into; the sources stay as they are."""
    target = folder / "suite" / "tools" / "server" / "tests"
    if not target.is_dir():
        shutil.copytree(things.sdist() / "tools" / "server" / "tests", target)
    (target / "tmp").mkdir(exist_ok=True)
    os.chmod(target / "tmp", 0o700)
    return target


if __name__ == "__main__":
    sys.exit(main())
