"""The numbers and names of the GGUF format, as of llama.cpp in llama-cpp-python 0.3.36. Tables only.

Regenerate with the pin in packaging/constraints.txt: ggml.h, ggml-common.h, llama.h and src/llama-arch.cpp.
"""

from typing import NamedTuple


class TensorType(NamedTuple):
    """One row of a tensor is a whole number of blocks."""

    name: str
    block_elements: int
    block_bytes: int


# enum ggml_type; the missing numbers were withdrawn
TENSOR_TYPES = {
    0: TensorType("F32", 1, 4),
    1: TensorType("F16", 1, 2),
    2: TensorType("Q4_0", 32, 18),
    3: TensorType("Q4_1", 32, 20),
    6: TensorType("Q5_0", 32, 22),
    7: TensorType("Q5_1", 32, 24),
    8: TensorType("Q8_0", 32, 34),
    9: TensorType("Q8_1", 32, 40),
    10: TensorType("Q2_K", 256, 84),
    11: TensorType("Q3_K", 256, 110),
    12: TensorType("Q4_K", 256, 144),
    13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210),
    15: TensorType("Q8_K", 256, 292),
    16: TensorType("IQ2_XXS", 256, 66),
    17: TensorType("IQ2_XS", 256, 74),
    18: TensorType("IQ3_XXS", 256, 98),
    19: TensorType("IQ1_S", 256, 50),
    20: TensorType("IQ4_NL", 32, 18),
    21: TensorType("IQ3_S", 256, 110),
    22: TensorType("IQ2_S", 256, 82),
    23: TensorType("IQ4_XS", 256, 136),
    24: TensorType("I8", 1, 1),
    25: TensorType("I16", 1, 2),
    26: TensorType("I32", 1, 4),
    27: TensorType("I64", 1, 8),
    28: TensorType("F64", 1, 8),
    29: TensorType("IQ1_M", 256, 56),
    30: TensorType("BF16", 1, 2),
    34: TensorType("TQ1_0", 256, 54),
    35: TensorType("TQ2_0", 256, 66),
    39: TensorType("MXFP4", 32, 17),
    40: TensorType("NVFP4", 64, 36),
    41: TensorType("Q1_0", 128, 18),
    42: TensorType("Q2_0", 64, 18),
}
UNQUANTIZED = frozenset({"F32", "F16", "BF16"})

# enum llama_ftype: the value of general.file_type
FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}

# LLM_ARCH_NAMES, without "clip" (the image part of a model, which is no model by itself)
ARCHITECTURES = frozenset(
    """
    llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact bert modern-bert
    nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert bloom stablelm qwen qwen2
    qwen2moe qwen2vl qwen3 qwen3moe qwen3next qwen3vl qwen3vlmoe qwen35 qwen35moe qwen4exp phi2 phi3
    phimoe plamo plamo2 plamo3 codeshell orion internlm2 minicpm minicpm3 gemma gemma2 gemma3
    gemma3n gemma4 gemma4-assistant gemma-embedding starcoder2 mamba mamba2 maple jamba falcon-h1
    xverse command-r cohere2 cohere2moe dbrx olmo olmo2 olmoe muse-glimmer openelm arctic deepseek
    deepseek2 deepseek2-ocr deepseek32 deepseek4 chatglm glm4 glm4moe glm-dsa bitnet t5 t5encoder
    jais jais2 nemotron nemotron_h nemotron_h_moe exaone exaone4 exaone-moe rwkv6 rwkv6qwen2 rwkv7
    arwkv7 granite granitemoe granitehybrid graniteswitch granite_swa chameleon wavtokenizer-dec plm
    bailingmoe bailingmoe2 bailingmoe3 dots1 dots3note arcee afmoe laguna ernie4_5 ernie4_5-moe
    hunyuan-moe hunyuan-dense hunyuan_vl hy_v3 hy_v4 smollm3 gpt-oss lfm2 lfm2moe dream smallthinker
    llada llada-moe seed_oss grovemoe apertus minimax-01 hrm_text minimax-m2 minimax-m3 cogvlm rnd1
    pangu-embedded mistral3 eagle3 dflash mistral4 paddleocr mimo2 step35 spark2_5 llama-embed
    maincoder kimi-linear kimi-k3 glm5-next talkie mellum nanbeige qwen3tts pockettts
    """.split()  # noqa: SIM905 - 152 lines otherwise
)

# those whose graph asserts n_embd_head == n_rot, from src/models/*.cpp
WHOLE_HEAD_ROPE = frozenset(
    """
    apertus arcee arctic baichuan chameleon codeshell cogvlm cohere2moe dbrx deci deepseek dots1
    dream ernie4_5 ernie4_5-moe exaone exaone-moe exaone4 falcon granite granite_swa graniteswitch
    grok grovemoe hunyuan-moe hunyuan_vl hy_v3 internlm2 jais2 llada llada-moe llama llama4
    maincoder mellum mistral3 olmo olmo2 olmoe orion paddleocr pangu-embedded plamo pockettts qwen2
    qwen2moe qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe rnd1 seed_oss smallthinker smollm3 starcoder2
    talkie xverse
    """.split()  # noqa: SIM905
)

# whose layers may differ in how many heads they have, or that have none; elsewhere the first layer stands for all
HEADS_BY_LAYER = frozenset(
    """
    arwkv7 bailingmoe3 bert deci deepseek4 dots3note dream eurobert gemma-embedding gemma4 gemma4-assistant glm5-next
    gptj granitehybrid graniteswitch jamba jina-bert-v2 jina-bert-v3 kimi-k3 kimi-linear laguna lfm2
    lfm2moe llada llada-moe llama-embed mamba mamba2 mimo2 modern-bert nemotron_h nemotron_h_moe neo-bert
    nomic-bert nomic-bert-moe openelm plamo2 plamo3 rnd1 rwkv7 spark2_5 step35 t5 t5encoder wavtokenizer-dec
    """.split()  # noqa: SIM905
)
# whose graph asserts that keys are as long as values, or reads one for the other; beside WHOLE_HEAD_ROPE
EQUAL_LENGTHS = frozenset(
    """
    bailingmoe bert bitnet bloom cohere2 command-r eurobert gpt-oss gpt2 gptneox jais jamba jina-bert-v2 jina-bert-v3
    lfm2 lfm2moe maple modern-bert mpt nemotron neo-bert nomic-bert nomic-bert-moe openelm phi2 phimoe qwen starcoder
    """.split()  # noqa: SIM905
)
# whose layers with a window have heads of the same length as the others
EQUAL_WINDOWS = frozenset(
    """
    cohere2 cohere2moe deepseek4 exaone-moe gpt-oss granite_swa laguna lfm2 maple muse-glimmer olmo2 smallthinker
    """.split()  # noqa: SIM905
)
