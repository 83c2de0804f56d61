"""Looks at all that computing depends on here: devices, driver, compilers, builds, the self-test; some seconds."""

from app.builds.builds import Builds
from app.builds.doctor import Findings
from app.builds.machine import look as look_at_machine
from app.builds.sign import libraries_of
from app.builds.state import read
from app.errors import BuildError, EngineError
from app.inference.preflight import Preflight
from app.paths import Paths
from backends.build_report import BuildReport
from backends.gpu_libraries import gpu_kind


def examine(paths: Paths, builds: Builds, wanted: str | None) -> Findings:
    """Each build in a child. wanted: of the settings."""
    notice = builds.start()
    active, reports = builds.active, dict[str, BuildReport | str]()
    expected = None
    for build in dict.fromkeys((*builds.shelf.builds(), active)):  # a person's own has no name
        try:
            report = builds.trial.inspect(build, expected)
            expected = expected or report.version
            reports[build.name] = report
        except BuildError as error:
            reports[build.name] = str(error)
    self_test, has_repacking = None, True
    try:
        has_repacking = Preflight(paths.cache, paths.logs).verdict().extra_buffer_types
    except EngineError as error:
        self_test = str(error)
    return Findings(
        look_at_machine(is_whole=True),
        builds.shelf.builds(),
        active.name,
        gpu_kind(libraries_of(active)),
        reports,
        wanted,
        notice,
        self_test,
        has_repacking,
        read(builds.state_file).proof,
        {build.name: why for build in builds.shelf.builds() if (why := builds.why_rejected(build))},
    )
