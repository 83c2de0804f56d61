"""EleutherAI's lm-evaluation-harness: its tasks over /v1/completions, with the port's own tokenizer."""

import json
import math
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": tempfile.mkdtemp(prefix="slipstream-hf-")}
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager
from lm_eval.utils import RemoteTokenizer
from steps import CHECKOUT, EXACT_MODEL, MODEL, OPENAI, OWN_PYTHON, run, step

TOLERANCE = 1e-3  # of a log-likelihood, per token
CHUNK = 128  # tokens of `slipstream evaluate`, which scores what stands behind the half of them
TEXT = (CHECKOUT / "README.md").read_text("utf-8")[:4000]
QUESTIONS = [
    {"question": "The capital of France is", "choices": ["Paris", "Rome", "a banana"], "answer": 0},
    {"question": "The colour of grass is", "choices": ["loud", "green", "seven"], "answer": 1},
    {"question": "Water freezes at zero degrees", "choices": ["Celsius", "spoons", "Tuesday"], "answer": 0},
]
TASKS = {
    "local_choices": {
        "output_type": "multiple_choice",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    },
    "local_words": {
        "output_type": "generate_until",
        "doc_to_target": "{{choices[answer]}}",
        "generation_kwargs": {"until": ["\n", "."], "max_gen_toks": 12, "temperature": 0},
        "metric_list": [{"metric": "exact_match"}],
    },
}
MODEL_ARGUMENTS = {
    "model": MODEL,
    "base_url": f"{OPENAI}/completions",
    "max_length": 4096,
    "tokenizer_backend": "remote",
}


def folder_of_tasks() -> Path:
    """Their YAML files and their documents: JSON, which YAML is as well."""
    folder = Path(tempfile.mkdtemp(prefix="slipstream-lm-eval-"))
    documents = folder / "questions.jsonl"
    documents.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS), "utf-8")
    for name, task in TASKS.items():
        common = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(documents)}},
            "test_split": "test",
            "doc_to_text": "{{question}}",
        }
        (folder / f"{name}.yaml").write_text(json.dumps(common | task), "utf-8")
    return folder


FOLDER = folder_of_tasks()


def evaluated(task: str, **arguments: Any) -> Any:
    return simple_evaluate(
        model="local-completions",
        model_args=MODEL_ARGUMENTS | arguments,
        tasks=[task],
        task_manager=TaskManager(include_path=str(FOLDER), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )


def likelihoods(result: Any) -> list[float]:
    samples = sorted(result["samples"]["local_choices"], key=lambda sample: sample["doc_id"])
    return [float(response[0][0]) for sample in samples for response in sample["resps"]]


@step("the port's own tokenizer is found")
def tokenizer() -> None:
    assert isinstance(LocalCompletionsAPI(**MODEL_ARGUMENTS | {"tokenizer_backend": "auto"}).tokenizer, RemoteTokenizer)


@step("multiple_choice: the plain answers are found")
def choices() -> None:
    result = evaluated("local_choices")
    assert result["results"]["local_choices"]["acc,none"] == 1, result["results"]
    assert all(math.isfinite(each) and each < 0 for each in likelihoods(result))


@step("multiple_choice: the same likelihoods from tokens and texts, several at once")
def ways() -> None:
    one = likelihoods(evaluated("local_choices"))
    for way in ({"tokenized_requests": False}, {"num_concurrent": 3}, {"batch_size": 4}):
        other = likelihoods(evaluated("local_choices", **way))
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < TOLERANCE, (way, one, other)


@step("loglikelihood equals `slipstream evaluate` to 1e-3 (F16)")
def as_evaluated() -> str:
    model = LocalCompletionsAPI(**MODEL_ARGUMENTS | {"model": Path(EXACT_MODEL).stem})
    tokens = model.tok_encode(TEXT)[:CHUNK]
    split = CHUNK // 2 + 1
    ((said, _),) = model._loglikelihood_tokens([(("", ""), tokens[:split], tokens[split:])])
    file = FOLDER / "text.txt"
    file.write_text(TEXT, "utf-8")
    command = [OWN_PYTHON, "-m", "app", "evaluate", EXACT_MODEL, "--text", str(file), "--context", str(CHUNK)]
    done = subprocess.run(
        [*command, "--chunks", "1", "--json"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-300:]
    told = json.loads(done.stdout)
    num_tokens = CHUNK - split
    assert told["num_tokens"] == num_tokens, told
    apart = abs(math.log(told["perplexity"]) + said / num_tokens)
    assert apart < TOLERANCE, (told["perplexity"], said)
    return f"{apart:.1e} apart, per token"


@step("loglikelihood_rolling of a text longer than the window")
def rolling() -> None:
    model = LocalCompletionsAPI(**MODEL_ARGUMENTS | {"max_length": 256})
    (said,) = model.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (TEXT,), 0)], disable_tqdm=True)
    assert math.isfinite(said)
    assert said < 0


@step("generate_until")
def generated() -> None:
    result = evaluated("local_words")
    said = [sample["resps"][0][0] for sample in result["samples"]["local_words"]]
    assert all(text and "\n" not in text and "." not in text for text in said), said


run()
