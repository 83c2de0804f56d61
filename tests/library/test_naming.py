"""What models are called, by names as they are in the world."""

import pytest

from app.library.naming import Naming, naming_of

SMOLLM2 = "Smollm2 135M 8k Lc100K Mix1 Ep2"  # the header's title of SmolLM2-135M-Instruct
# file, repository, title and type by the header: name, type that is shown
REAL = {
    ("SmolLM2-135M-Instruct.Q4_1.gguf", None, SMOLLM2, "Q4_1"): ("SmolLM2-135M-Instruct", "Q4_1"),
    ("smollm2-135m-instruct-q8_0.gguf", "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF", SMOLLM2, "Q8_0"): (
        "SmolLM2-135M-Instruct",
        "Q8_0",
    ),
    ("gemma-3-270m-q4_k_m.gguf", None, "Gemma 3 270m", "Q4_K_M"): ("gemma-3-270m", "Q4_K_M"),
    (
        "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
        "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
        "Meta Llama 3.1 8B Instruct",
        "Q4_K_M",
    ): ("Meta-Llama-3.1-8B-Instruct", "Q4_K_M"),
    ("Meta-Llama-3.1-8B-Instruct-Q4_K_L.gguf", None, "Meta Llama 3.1 8B Instruct", "Q4_K_M"): (
        "Meta-Llama-3.1-8B-Instruct",
        "Q4_K_L",
    ),
    ("google_gemma-3-4b-it-IQ4_XS.gguf", "bartowski/google_gemma-3-4b-it-GGUF", "Gemma 3 4b It", "IQ4_XS"): (
        "google_gemma-3-4b-it",
        "IQ4_XS",
    ),
    ("llama-2-7b-chat.Q4_K_M.gguf", "TheBloke/Llama-2-7B-Chat-GGUF", "LLaMA v2", "Q4_K_M"): (
        "Llama-2-7B-Chat",
        "Q4_K_M",
    ),
    ("llama-2-7b-chat.Q4_K_M.gguf", None, "LLaMA v2", "Q4_K_M"): ("llama-2-7b-chat", "Q4_K_M"),
    (
        "mistral-7b-instruct-v0.1.Q5_K_S.gguf",
        "TheBloke/Mistral-7B-Instruct-v0.1-GGUF",
        "mistralai_mistral-7b-instruct-v0.1",
        "Q5_K_S",
    ): ("Mistral-7B-Instruct-v0.1", "Q5_K_S"),
    ("Qwen3-8B-UD-Q4_K_XL.gguf", "unsloth/Qwen3-8B-GGUF", "Qwen3-8B", "Q4_K_M"): ("Qwen3-8B", "UD-Q4_K_XL"),
    ("DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf", "unsloth/DeepSeek-R1-GGUF", "DeepSeek R1 BF16", "IQ1_S"): (
        "DeepSeek-R1",
        "UD-IQ1_S",
    ),
    ("unsloth.Q4_K_M.gguf", "someone/my-tuned-llama", "Meta Llama 3.1 8B Instruct Bnb 4bit", "Q4_K_M"): (
        "my-tuned-llama",
        "Q4_K_M",
    ),
    ("Qwen2.5-7B-Instruct-Q8_0.gguf", "lmstudio-community/Qwen2.5-7B-Instruct-GGUF", "Qwen2.5 7B Instruct", "Q8_0"): (
        "Qwen2.5-7B-Instruct",
        "Q8_0",
    ),
    (
        "qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf",
        "Qwen/Qwen2.5-7B-Instruct-GGUF",
        "qwen2.5-7b-instruct",
        "Q4_K_M",
    ): ("Qwen2.5-7B-Instruct", "Q4_K_M"),
    ("Phi-3-mini-4k-instruct-q4.gguf", "microsoft/Phi-3-mini-4k-instruct-gguf", "Phi3", "Q4_K_M"): (
        "Phi-3-mini-4k-instruct",
        "Q4_K_M",
    ),
    ("Phi-3-mini-4k-instruct-fp16.gguf", None, "Phi3", "F16"): ("Phi-3-mini-4k-instruct", "F16"),
    ("ggml-model-i2_s.gguf", "microsoft/BitNet-b1.58-2B-4T-gguf", "bitnet2b_2501", "TQ1_0"): (
        "BitNet-b1.58-2B-4T",
        "TQ1_0",
    ),
    ("gpt-oss-20b-mxfp4.gguf", "ggml-org/gpt-oss-20b-GGUF", "Gpt Oss 20b", "MXFP4_MOE"): ("gpt-oss-20b", "MXFP4_MOE"),
    ("gemma-3-4b-it-q4_0.gguf", "google/gemma-3-4b-it-qat-q4_0-gguf", "Gemma 3 4b It Qat", "Q4_0"): (
        "gemma-3-4b-it-qat",
        "Q4_0",
    ),
    ("Llama-3-8B-Lexi.i1-Q4_K_M.gguf", "mradermacher/Llama-3-8B-Lexi-i1-GGUF", "Llama 3 8B Lexi", "Q4_K_M"): (
        "Llama-3-8B-Lexi",
        "i1-Q4_K_M",
    ),
    ("nomic-embed-text-v1.5.f16.gguf", "nomic-ai/nomic-embed-text-v1.5-GGUF", "nomic-embed-text-v1.5", "F16"): (
        "nomic-embed-text-v1.5",
        "F16",
    ),
    ("Mixtral-8x7B-Instruct-v0.1-Q3_K_L-imat.gguf", None, "Mixtral", "Q3_K_L"): (
        "Mixtral-8x7B-Instruct-v0.1",
        "Q3_K_L",
    ),
    # several models in one repository: the file says which
    ("tiny-random-llama-Q8_0.gguf", "ggml-org/models", "Llama", "Q8_0"): ("tiny-random-llama", "Q8_0"),
    # names that say nothing
    ("model.gguf", "ibm-granite/granite-3.3-2b-instruct-GGUF", "Granite", "Q4_K_M"): (
        "granite-3.3-2b-instruct",
        "Q4_K_M",
    ),
    ("model.gguf", None, "Gemma 3 270m", "Q4_K_M"): ("Gemma 3 270m", "Q4_K_M"),
    ("ggml-model-q4_0.gguf", None, "LLaMA v2 7B", "Q4_0"): ("LLaMA v2 7B", "Q4_0"),
    ("model-00001-of-00003.gguf", None, "Gemma 3 270m", "F16"): ("Gemma 3 270m", "F16"),
    (
        "sha256-00e1317cbf74d901080d7100f57580ba8dd8de57203072dc6f668324ba545f29",
        None,
        "Llama 3.2 1B Instruct",
        "Q8_0",
    ): ("Llama 3.2 1B Instruct", "Q8_0"),
    ("a5fd3b62230aa5eca5fd3b62230aa5eca5fd3b62.gguf", None, "Gemma 3 270m", "Q4_K_M"): ("Gemma 3 270m", "Q4_K_M"),
    ("model.gguf", None, "", "Q4_K_M"): ("model", "Q4_K_M"),
    ("Q4_K_M.gguf", "someone/gemma-2-9b-it-GGUF", "model", "Q4_K_M"): ("gemma-2-9b-it", "Q4_K_M"),
    # a person's own, even where the title begins alike or the name could be a hash
    ("gemma3.gguf", None, "Gemma 3 270m It", "Q4_K_M"): ("gemma3", "Q4_K_M"),
    ("smol.gguf", None, SMOLLM2, "Q4_1"): ("smol", "Q4_1"),
    ("SmolLM2.gguf", None, SMOLLM2, "Q4_1"): ("SmolLM2", "Q4_1"),
    ("a5fd3b62.gguf", None, SMOLLM2, "Q4_1"): ("a5fd3b62", "Q4_1"),
    ("facade.gguf", None, SMOLLM2, "Q4_1"): ("facade", "Q4_1"),
    (f"{'a' * 40}.gguf", None, SMOLLM2, "Q4_1"): ("a" * 40, "Q4_1"),
    (f"{'1' * 64}x.gguf", None, SMOLLM2, "Q4_1"): (f"{'1' * 64}x", "Q4_1"),
    ("my favourite.gguf", None, SMOLLM2, "Q4_1"): ("my favourite", "Q4_1"),
    ("x.gguf", None, "X1 7B", "Q4_1"): ("x", "Q4_1"),
    # a file name that is wrong about the type, and one that only knows it
    ("gemma-3-270m-Q8_0.gguf", None, "", "Q4_K_M"): ("gemma-3-270m", "Q4_K_M"),
    ("gemma-3-270m-Q8_0.gguf", None, "", ""): ("gemma-3-270m", "Q8_0"),
    ("Yi-34B-200K.gguf", None, "", "Q4_K_M"): ("Yi-34B-200K", "Q4_K_M"),
}


@pytest.mark.parametrize(("said", "shown"), REAL.items())
def test_a_model_is_called_what_its_publisher_calls_it(
    said: tuple[str, str | None, str, str], shown: tuple[str, str]
) -> None:
    file, repository, title, by_header = said
    assert naming_of(file, repository=repository, title=title, quantization=by_header) == Naming(*shown)


def test_a_folder_names_what_nothing_else_does() -> None:
    assert naming_of("model-q4_0.gguf", folder="/models/Falcon3-1B-Instruct-GGUF").name == "Falcon3-1B-Instruct"
    assert naming_of("model.gguf", folder="/models").name == "model"


def test_a_name_is_printable_and_bounded() -> None:
    found = naming_of("\x1b[2J" + "x" * 5000 + ".gguf").name
    assert found.isprintable()
    assert len(found) <= 200
