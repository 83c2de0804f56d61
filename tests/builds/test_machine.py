"""What is found on a machine, from what its programs say and its files hold."""

import pytest

from app.builds.machine import Gpu, Vendor, look
from app.builds.probes import Probes
from tests.builds.machines import SMI, Pretended

GIB = 1 << 30


def test_an_nvidia_card_is_known_with_driver_capability_and_the_cuda_that_it_runs() -> None:
    machine = look(Pretended().with_nvidia().probes())
    assert machine.gpu == Gpu(Vendor.NVIDIA, "NVIDIA GeForce RTX 4090", 24564 << 20, (8, 9))
    assert (machine.driver, machine.driver_cuda) == ("580.95.05", (13, 0))
    assert machine.toolkit is None
    assert machine.compiler == "/usr/bin/c++"


def test_a_toolkit_is_found_where_installers_put_it_though_it_is_not_on_the_path() -> None:
    toolkit = look(Pretended().with_nvidia().with_nvcc("12.4").probes()).toolkit
    assert toolkit
    assert (toolkit.nvcc, toolkit.version) == ("/usr/local/cuda/bin/nvcc", (12, 4))


def test_cuda_home_names_a_toolkit() -> None:
    pretended = Pretended(environment={"CUDA_HOME": "/home/me/cuda"}).with_nvidia()
    toolkit = look(pretended.with_nvcc("12.9", "/home/me/cuda/bin/nvcc").probes()).toolkit
    assert toolkit
    assert toolkit.version == (12, 9)


def test_a_card_that_sleeps_is_not_woken() -> None:
    pretended = Pretended().with_nvidia().with_card("0x10de", power__runtime_status="suspended")
    pretended.files["/proc/driver/nvidia/version"] = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue"
    machine = look(pretended.probes())
    assert [line for line in pretended.asked if line.startswith(SMI)] == []
    assert machine.gpu
    assert machine.gpu.vendor is Vendor.NVIDIA
    assert (machine.driver, machine.driver_cuda) == ("580.95.05", (13, 0))


def test_an_old_nvidia_smi_does_not_know_the_capability() -> None:
    pretended = Pretended().with_nvidia()
    pretended.says.clear()
    query = f"{SMI} --query-gpu=name,driver_version,memory.total --format=csv,noheader,nounits"
    pretended.says[query] = "Tesla K80, 470.256.02, 11441\n"
    machine = look(pretended.probes())
    assert machine.gpu
    assert (machine.gpu.name, machine.gpu.capability, machine.driver) == ("NVIDIA Tesla K80", None, "470.256.02")


@pytest.mark.parametrize("said", [None, "", "No devices were found", ",,,", "a, b, c, d", "\0\0", "x" * 70_000])
def test_whatever_nvidia_smi_says_nothing_is_raised(said: str | None) -> None:
    pretended = Pretended().with_nvidia()
    pretended.says = dict.fromkeys(pretended.says, said)
    machine = look(pretended.probes())
    assert machine.gpu
    assert machine.gpu.vendor is Vendor.NVIDIA
    assert machine.gpu.memory is None


def test_a_card_without_a_driver_is_seen_on_the_bus() -> None:
    machine = look(Pretended().with_card("0x10de").probes())
    assert machine.gpu
    assert (machine.gpu.name, machine.driver) == ("NVIDIA GPU", None)


def test_of_several_the_one_with_most_memory_counts_and_an_integrated_one_last() -> None:
    pretended = Pretended().with_card("0x8086", "0000:00:02.0")
    assert look(pretended.probes()).gpus[0].is_integrated
    pretended.with_card("0x1002", "0000:05:00.0", mem_info_vram_total=str(512 << 20))  # an APU's share
    pretended.with_card("0x1002", "0000:03:00.0", mem_info_vram_total=str(16 * GIB), product_name="RX 9070 XT")
    machine = look(pretended.probes())
    assert machine.gpu == Gpu(Vendor.AMD, "RX 9070 XT", 16 * GIB)
    assert [gpu.is_integrated for gpu in machine.gpus].count(True) == 2


def test_the_display_of_a_virtual_machine_is_no_gpu() -> None:
    assert look(Pretended().with_card("0x1234").probes()).gpu is None


def test_vulkan_is_known_by_loader_compiler_and_the_age_of_its_headers() -> None:
    vulkan = look(Pretended().with_card("0x1002").with_vulkan(3, 239).probes()).vulkan
    assert (vulkan.has_loader, vulkan.glslc, vulkan.headers, vulkan.has_spirv) == (
        True,
        "/usr/bin/glslc",
        (3, 239),
        True,
    )


def test_without_a_gpu_no_program_is_run() -> None:
    pretended = Pretended().with_nvcc()
    assert look(pretended.probes()).toolkit is None
    assert pretended.asked == []
    assert look(pretended.probes(), is_whole=True).toolkit


def test_this_machine_can_be_looked_at() -> None:
    machine = look(Probes(), is_whole=True)
    assert machine.system
    assert machine.compiler, "the suite was compiled here"
