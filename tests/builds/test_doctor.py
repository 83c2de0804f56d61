"""`slipstream doctor`: what is wrong, each with its cure, and an exit code that tells."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.__main__ import main
from app.builds import doctor
from app.builds.build import Build
from app.builds.doctor import Findings, problems
from app.builds.machine import look
from backends.build_report import BuildDevice, BuildReport
from tests.builds.machines import Pretended

CPU = BuildDevice("CPU", "AMD EPYC", False, 8 << 30, 16 << 30)
GPU = BuildDevice("CUDA0", "RTX 4090", True, 20 << 30, 24 << 30)
SOUND = BuildReport("0.5.0", "0.3.36", "CPU : AVX2 = 1", False, (CPU,))
WITH_GPU = BuildReport("0.5.0", "0.3.36", "CUDA : ARCHS = 890", True, (GPU, CPU))


def findings(pretended: Pretended | None = None, **changes: Any) -> Findings:
    machine = look((pretended or Pretended()).probes())
    usual = Findings(machine, (Build("installed"),), "installed", None, {"installed": SOUND})
    return replace(usual, **changes)


def test_a_machine_that_is_well_has_no_problem() -> None:
    assert problems(findings()) == []
    assert problems(findings(Pretended().with_nvidia(), kind="cuda", reports={"installed": WITH_GPU})) == []


def test_an_idle_gpu_is_a_problem_with_its_cure() -> None:
    (problem,) = problems(findings(Pretended().with_nvidia()))
    assert problem.what.endswith("is not used, because the engine that is used is built for the CPU alone.")
    assert problem.cure.startswith("“slipstream builds --make” builds it for the GPU")


def test_a_build_that_finds_no_gpu_is_a_problem() -> None:
    (problem,) = problems(findings(Pretended().with_nvidia(), kind="cuda"))
    assert problem.what == "The engine is built for cuda, and finds no GPU (NVIDIA GeForce RTX 4090)."
    assert "CUDA_VISIBLE_DEVICES" in problem.cure


def test_builds_that_cannot_be_used_are_named_with_what_removes_them() -> None:
    builds = (Build("installed"), Build("cuda-89"))
    reports = {"installed": SOUND, "cuda-89": replace(SOUND, problem="Its structs differ.")}
    (problem,) = problems(findings(builds=builds, reports=reports))
    assert problem.cure == "Remove it: slipstream builds --remove cuda-89"
    (problem,) = problems(findings(reports={"installed": "it died"}))
    assert problem.cure == "Build it anew: make engine"


def test_a_self_test_that_fails_or_lacks_something_is_told() -> None:
    assert len(problems(findings(self_test="it died", has_repacking=False))) == 2


def test_a_choice_that_is_not_there_is_told() -> None:
    notice = (
        "The engine build “x” of the settings is not here, so the installed one is used. “slipstream builds” lists."
    )
    (problem,) = problems(findings(wanted="x", notice=notice))
    assert problem == doctor.Problem(notice.split(" “slip")[0], "“slipstream builds” lists")


@pytest.mark.usefixtures("tried_engine")
def test_the_command_tells_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (code == 0) is told["ok"]
    report = told["builds"]["reports"]["installed"]
    assert report["problem"] is None, "the installed build's structs are those of its binding"
    assert report["devices"]
    assert told["builds"]["active"] == "installed"
