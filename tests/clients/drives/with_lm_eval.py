"""lm-eval's local-completions: log-likelihoods of the guide's sort of text, and an answer."""

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI
from steps import MODEL, OPENAI, run, step

model = LocalCompletionsAPI(
    model=MODEL, base_url=f"{OPENAI}/completions", tokenizer_backend=None, num_concurrent=1, max_retries=1
)


def asked(kind: str, *arguments: object) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)  # type: ignore[arg-type]


@step("generate_until")
def generate() -> None:
    (told,) = model.generate_until([asked("generate_until", "The sky is", {"until": ["\n"], "max_gen_toks": 8})])
    assert told


@step("loglikelihood: the likelier continuation is found")
def loglikelihood() -> None:
    pairs = [asked("loglikelihood", "The capital of France is", word) for word in (" Paris", " purple")]
    (right, _), (wrong, _) = model.loglikelihood(pairs)
    assert wrong < right < 0, (wrong, right)


run()
