"""llama.cpp's own tests of llama-server, in its external mode: `python -m tests.clients.llama_server_suite`.

The suite was written for servers that it starts itself, with models of 260 thousand parameters and flags of
llama-server; here one port with SmolLM2 stands for them, and one with all-MiniLM-L6-v2. A test is left out where it
rests on what that model says, on a flag that it starts llama-server with, or on a model that no registry has; all
others count. It writes tests/bench/results/llama_server_tests.md.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.servers import Setting, slipstream
from tests.clients import environments
from tests.clients.suite_page import SuitePage
from tests.clients.suites import Outcome, run_pytest, served, summary
from tests.real import things

RESULTS = Path(__file__).parents[1] / "bench" / "results"
PACKAGES = ("pytest", "pytest-xdist", "filelock", "numpy", "openai", "prometheus-client", "requests", "wget", "aiohttp")
PATIENCE = 1800
CONTEXT, PARALLEL = 256, 2  # those of its preset: 512 cells for two
NAME = "tinyllama-2"  # the model's in its preset, and its --alias
LONG_CONTEXT = 2048
KEY = "sk-this-is-the-secret-key"  # the suite's own
GOAL = 0.9

SMALL = (
    *("basic", "tokenize", "infill", "ignore_eos", "template", "ctx_shift", "completion", "chat_completion"),
    *("compat_oai_responses", "vision_api"),
)
LONG = ("compat_anthropic", "tool_call")
KEYLESS = (  # of test_security.py
    "test_security.py::test_local_media_file",
    "test_security.py::test_cors_origins_localhost_reflects",
    "test_security.py::test_cors_origins_localhost_rejects",
    "test_security.py::test_cors_origins_defaults_to_localhost_with_tools_enabled",
)
# what its --cors-origins localhost stands for
PAGES = tuple(
    f"http://{host}" for host in ("localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:3000", "[::1]", "[::1]:3000")
)
VECTORS = ("embedding", "rerank")
FRESH = (  # each counts what a server has done since it began
    "test_metrics.py::test_metrics_prometheus_format",
    "test_metrics.py::test_metrics_prompt_processed_and_cached",
    "test_metrics.py::test_metrics_predicted_total_matches_requests",
)

WORDS = "it rests on what its own model says"
TOKENS = "it rests on the number of tokens that its own model's vocabulary makes of a text"
TEMPLATE = "it starts llama-server with another chat template"
MODEL = "it asks for a model that no registry has: for images, ranks, in parts, or with tokens for infill"
ALIAS = "it starts llama-server with --alias and --tags, several of each, and asks for these names"
SWITCHED = "it starts llama-server once with a part of it switched on, and once off"
SEEDED = "it starts llama-server with --seed or --temp and asks that these hold"
BATCH = "it starts llama-server with a smaller batch and counts batches"
PROXY = "it starts llama-server with --ui-mcp-proxy and has it call other addresses"

LEFT_OUT = {
    r"test_server_multiple_addresses": "it starts llama-server at two addresses",
    r"test_server_model_aliases": ALIAS,
    r"test_server_slots|test_no_ui|test_metrics_disabled": SWITCHED,
    r"cors_proxy": PROXY,
    r"test_server_props|stream_vs_non_stream|test_completion_with_tokens_input": SEEDED,
    r"test_load_split_model|test_infill_with|test_local_media_file.*True|vision_base64_with": MODEL,
    r"test_vision_.*True|supports_multimodal|test_vision_chat_completion_token_count|test_vision_embeddings": MODEL,
    r"test_rerank(::test_rerank|$)": MODEL,
    r"thinking_with_reasoning_model": MODEL,
    r"test_tokenize_with_bos": "its own model's vocabulary begins every text with a token",
    r"test_template::|test_chat_template($|_assistant_prefill|_continue_final_message_vllm)": TEMPLATE,
    r"test_apply_chat_template|thinking_history": TEMPLATE,
    r"test_completion_unified|test_ctx_shift_disabled_stream": "it rests on where its own model's answers end",
    r"test_ctx_shift_enabled|test_ctx_shift_disabled_short|test_ctx_shift_disabled_long|test_nocache_long": TOKENS,
    r"test_completion_prompt_cache|test_chat_completion_cached_tokens|response_fields\[.*-32-": TOKENS,
    r"test_completion::test_completion(_stream)?\[|test_completion(_stream)?_with_openai_library": WORDS,
    r"test_chat_completion::test_chat_completion(\[|_stream\[|_with_openai_library)": WORDS,
    r"test_responses_(stream_)?with_openai_library": WORDS,
    r"test_metrics_timings_on_prompt_progress|test_return_progress": BATCH,
    r"test_metrics_embedding_prompt": "it asks one server for vectors, and others of its file for answers",
    r"test_embedding_pooling_none": "it starts llama-server with --pooling none",
}
KNOWN = {
    r"vision_format_accepted|tool_result_with_image": "a model without eyes is told with 400 here, not with 500",
    r"anthropic_empty_messages": "Anthropic refuses a chat without a message, and so does this port",
    r"test_cors_options": "a page that nobody has named may not use the port, and these names are no origins of pages",
    r"test_cors_origins": "a page that may not use the port is told so with 403, which browsers treat like 200",
    r"static_assets": "llama-server's web page is not here",
    r"test_logprobs_stream|without_tool_call_fast": 'a stream begins with "" as OpenAI\'s does, not with null',
    r"stream_with_llama_telemetry": "what max_output_tokens ends is told as response.incomplete, as OpenAI does",
    r"n_probs_post_backend_sampling": "its second question reads one token anew where its first read eleven, and "
    "llama.cpp's kernels round differently then; with cache_prompt false both are the same here",
    r"test_embedding_mixed_input": "OpenAI refuses an empty text for a vector, and so does /v1/embeddings",
}
NOT_RUN = {
    "test_lora.py": "it starts llama-server with a model in parts and an adapter that no registry has",
    "test_slot_save.py": "it starts llama-server with --slot-save-path",
    "test_speculative.py": "it starts llama-server with a draft model that no registry has",
    "test_kv_keep_only_active.py": "it reads llama-server's log",
    "test_sleep.py": "it starts llama-server with --sleep-idle-seconds",
    "test_router.py, test_stream.py": "they start llama-server as a router of several",
    "test_compat_gcp.py": "it starts llama-server in the environment of a cloud",
    "test_proxy.py, test_mcp_servers.py, test_tools_builtin.py": "they start llama-server with tools of its own",
    "tests marked slow": "they ask for models of gigabytes",
}
PAGE = SuitePage(
    "llama.cpp's own tests of llama-server",
    "Of tools/server/tests, in external mode, against `slipstream serve --draft off` (llama-server drafts only where "
    "it is told to) with SmolLM2-135M-Instruct and all-MiniLM-L6-v2 (`python -m tests.clients.llama_server_suite`).",
    LEFT_OUT,
    KNOWN,
    NOT_RUN,
)


# as llama-server, which drafts only where it is told to
UNDRAFTED = ("--draft", "off")


def main() -> int:
    environment = environments.python("llama-server-suite", PACKAGES)
    folder = _suite(environment.folder)
    python, small = environment.command[0], Setting(_named(environment.folder), CONTEXT // PARALLEL, PARALLEL)
    outcomes: list[Outcome] = []
    told: list[tuple[str, str]] = []

    def drive(setting: Setting, tests: list[str], *flags: str) -> None:
        chosen = [test if test.startswith("--") else f"unit/{test}" for test in tests]
        told.append((_options(setting, (*flags, *UNDRAFTED)), ", ".join(tests)))
        with served(setting, (*flags, *UNDRAFTED)) as server:
            address = {"DEBUG_EXTERNAL": "1", "PORT": str(server.port)}
            outcomes.extend(run_pytest(python, folder, ["-m", "not slow", *chosen], address, PATIENCE))

    apart = [f"--deselect=unit/{test}" for test in FRESH]
    drive(small, [*(f"test_{name}.py" for name in SMALL), "test_metrics.py", *apart])
    for test in FRESH:
        drive(small, [test])
    drive(Setting(things.smollm2(), LONG_CONTEXT, 1), [f"test_{name}.py" for name in LONG])
    with_key = [f"--deselect=unit/{test}" for test in KEYLESS]
    drive(small, ["test_security.py", *with_key], "--api-key", KEY)
    drive(small, list(KEYLESS), *(flag for page in PAGES for flag in ("--allow-origin", page)))
    drive(Setting(_encoder(), CONTEXT, PARALLEL), [f"test_{name}.py" for name in VECTORS])
    passed, counted = summary(f"llama.cpp's server tests, with `{' '.join(UNDRAFTED)}`", outcomes, LEFT_OUT)
    PAGE.write(RESULTS / "llama_server_tests.md", outcomes, told)
    return 0 if counted and passed / counted >= GOAL else 1


def _options(setting: Setting, flags: Sequence[str]) -> str:
    """As they were given, but for the port and where the model lies."""
    command = slipstream().command(setting, 0)
    return " ".join(["--model", setting.model.name, *command[command.index("--context") :], *flags])


def _named(folder: Path) -> Path:
    """SmolLM2, under the name that the suite gives its own model: a model is called as its file is."""
    path = folder / f"{NAME}.gguf"
    if not path.exists():
        shutil.copy(things.smollm2(), path)
    return path


def _encoder() -> Path:
    """all-MiniLM-L6-v2 in F16, converted once."""
    path = environments.home() / "models" / "all-MiniLM-L6-v2.F16.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "app", "convert", str(things.minilm()), str(path), "--type", "f16"]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    return path


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
