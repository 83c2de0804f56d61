"""Which build a machine gets, or the sentence that says why none and what to do."""

import pytest

from app.builds.machine import look
from app.builds.unused import unused_sentence
from app.builds.way import Kind, Obstacle, Way, way_for
from tests.builds.machines import Pretended


def way(pretended: Pretended) -> Way | Obstacle | None:
    return way_for(look(pretended.probes()))


def obstacle(pretended: Pretended) -> str:
    found = way(pretended)
    assert isinstance(found, Obstacle)
    return str(found)


def test_a_driver_without_a_toolkit_gets_the_compiler_from_pypi_for_its_card_alone() -> None:
    found = way(Pretended().with_nvidia())
    assert isinstance(found, Way)
    assert found.packages == ("cuda-toolkit[nvcc,crt,nvvm,cccl,cudart,cublas]==13.0.*",)
    assert found.cmake_args == ("-DGGML_CUDA=on", "-DCMAKE_CUDA_ARCHITECTURES=89-real")
    assert found.name == "cuda-89"
    assert found.does == "with the CUDA 13.0 compiler from PyPI (0.7 GB, without root)"


def test_a_toolkit_that_fits_is_used() -> None:
    found = way(Pretended().with_nvidia().with_nvcc("13.0"))
    assert isinstance(found, Way)
    assert (found.nvcc, found.packages) == ("/usr/local/cuda/bin/nvcc", ())


@pytest.mark.parametrize(
    ("card", "toolkit", "is_used"),
    [
        ("RTX 4090, 580.95, 24564, 8.9", "11.5", False),  # it does not know the card
        ("RTX 5090, 580.95, 32607, 12.0", "12.6", False),
        ("RTX 5090, 580.95, 32607, 12.0", "12.8", True),
        ("RTX 3090, 580.95, 24576, 8.6", "12.0", True),
    ],
)
def test_a_toolkit_too_old_for_the_card_is_passed_over(card: str, toolkit: str, is_used: bool) -> None:
    found = way(Pretended().with_nvidia(card).with_nvcc(toolkit))
    assert isinstance(found, Way)
    assert (found.nvcc is not None) is is_used


def test_a_toolkit_newer_than_the_driver_is_not_used() -> None:
    told = obstacle(Pretended().with_nvidia("RTX 3090, 550.54, 24576, 8.6", "12.4").with_nvcc("13.0"))
    assert told.startswith("The GPU (NVIDIA RTX 3090) is not used, because its driver 550.54 runs no CUDA 13")
    assert "Update the driver to 580 or newer" in told


def test_an_old_driver_with_its_own_toolkit_is_no_problem() -> None:
    found = way(Pretended().with_nvidia("RTX 3090, 550.54, 24576, 8.6", "12.4").with_nvcc("12.4"))
    assert isinstance(found, Way)
    assert found.kind is Kind.CUDA


def test_what_cuda_cannot_do_vulkan_does_where_it_is_there() -> None:
    pretended = Pretended().with_nvidia("GeForce GTX 1080, 580.95, 8192, 6.1")
    assert "CUDA 13 leaves out its generation (compute capability 6.1)" in obstacle(pretended)
    found = way(pretended.with_vulkan())
    assert isinstance(found, Way)
    assert found.kind is Kind.VULKAN


def test_a_card_of_an_unknown_generation_gets_code_that_its_driver_finishes() -> None:
    found = way(Pretended().with_nvidia("NVIDIA X, 580.95, 24564, [N/A]"))
    assert isinstance(found, Way)
    assert found.cmake_args[1] == "-DCMAKE_CUDA_ARCHITECTURES=75-virtual"


def test_a_card_newer_than_the_tried_compiler_gets_the_one_of_its_driver() -> None:
    found = way(Pretended().with_nvidia("NVIDIA R200, 600.10, 65536, 13.0", "13.4"))
    assert isinstance(found, Way)
    assert found.packages == ("cuda-toolkit[nvcc,crt,nvvm,cccl,cudart,cublas]==13.4.*",)


def test_without_a_driver_it_says_which_one() -> None:
    told = obstacle(Pretended().with_card("0x10de"))
    assert told == (
        "The GPU (NVIDIA GPU) is not used, because its driver is not installed or does not answer. "
        "Install NVIDIA's driver, 580 or newer, then run the same command again."
    )


def test_without_a_cpp_compiler_that_is_what_is_missing() -> None:
    assert "there is no C++ compiler" in obstacle(Pretended(programs={}).with_nvidia())


def test_amd_and_intel_go_by_vulkan() -> None:
    for vendor in ("0x1002", "0x8086"):
        found = way(Pretended().with_card(vendor).with_vulkan())
        assert isinstance(found, Way)
        assert (found.kind, found.cmake_args) == (Kind.VULKAN, ("-DGGML_VULKAN=on",))


def test_what_vulkan_lacks_is_named_as_packages() -> None:
    told = obstacle(Pretended().with_card("0x1002"))
    assert "sudo apt-get install libvulkan1 glslc libvulkan-dev spirv-headers" in told
    assert "are too old for llama.cpp" in obstacle(Pretended().with_card("0x1002").with_vulkan(3, 239))


def test_where_pypi_has_no_compiler_the_toolkit_is_asked_for() -> None:
    for pretended in (Pretended(system="win32"), Pretended(processor="riscv64")):
        assert "there is no CUDA compiler here" in obstacle(pretended.with_nvidia())


def test_no_gpu_needs_nothing() -> None:
    assert way(Pretended()) is None
    assert way(Pretended(system="darwin", processor="arm64")) is None


def test_a_gpu_that_lies_idle_is_one_sentence_with_its_cure() -> None:
    machine = look(Pretended().with_nvidia().probes())
    assert unused_sentence(machine, None) == (
        "The GPU (NVIDIA GeForce RTX 4090) is not used, because the engine that is used is built for the CPU alone. "
        "“slipstream builds --make” builds it for the GPU, with the CUDA 13.0 compiler from PyPI "
        "(0.7 GB, without root)."
    )
    assert unused_sentence(machine, "cuda") is None
    assert "its driver does not answer" in str(unused_sentence(look(Pretended().with_card("0x10de").probes()), "cuda"))


def test_the_processors_own_gpu_is_not_missed() -> None:
    assert unused_sentence(look(Pretended().with_card("0x8086", "0000:00:02.0").probes()), None) is None
