"""Runs llama.cpp's own convert_hf_to_gguf.py, of the sources that this build was made from. A process of its own.

python -m tests.bench.upstream LLAMA_CPP_SOURCES TYPE SOURCE TARGET [SOURCE TARGET …]

Its table of tokenizers holds sha256 sums of known ones, and a random one is not among them: the vocabulary is read
as a byte-level one whatever the architecture, and its pre-tokenizer is said to be Qwen 2's.
"""

import sys
from pathlib import Path
from typing import Any


def main() -> int:
    sources, type_, *paths = sys.argv[1:]
    sys.path[:0] = [sources, str(Path(sources) / "gguf-py")]
    import convert_hf_to_gguf as upstream

    find = upstream.get_model_class
    upstream.get_model_class = lambda *args, **kwargs: _byte_level(find(*args, **kwargs))
    for source, target in zip(paths[::2], paths[1::2], strict=True):
        sys.argv = ["convert_hf_to_gguf.py", source, "--outfile", target, "--outtype", type_]
        if "linear_attention" in (Path(source) / "config.json").read_text(encoding="utf-8"):
            sys.argv.append("--no-mtp")  # transformers saves no layers that guess further tokens
        try:
            upstream.main()
        except (Exception, SystemExit) as fault:
            Path(target + ".fault").write_text(f"{type(fault).__name__}: {fault}"[:300], encoding="utf-8")
    return 0


def _byte_level(model_class: Any) -> Any:
    inner = [value for value in vars(model_class).values() if hasattr(value, "get_vocab_base_pre")]  # of Mistral 3
    for each in (model_class, *inner):
        each.get_vocab_base_pre = lambda _self, _tokenizer: "qwen2"
    for each in inner or [model_class]:
        each.set_vocab = lambda self: self._set_vocab_gpt2()
    return model_class


if __name__ == "__main__":
    raise SystemExit(main())
