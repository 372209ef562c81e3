"""A session at a beamline: run engine, devices, store and live analysis, put together as scans need them.

    session = open_session(load("txm"))
    session.use_sample("particles", material="LiNiO2", references={"Ni2+": "nio.xdi", "Ni3+": "linio2.xdi"})
    RE, devices = session.engine, session.devices
    RE(xanes_stack(devices.camera, devices.energy, …, shift=session.live.shift))
    session.close()

Every run goes to the store, its maps grow meanwhile, and a line at its end says how long it took and what dose it gave.
Calibrations that plans have found are kept, and are in force at the next start. A beam dump suspends any plan. A
process that dies, or a run engine that is halted, leaves no shutter open.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData
from bluesky.utils import MsgGenerator, SigintHandler

from whiteline.analysis.live import LiveXanes
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.beam_on_sample import BeamOnSample
from whiteline.beamline.build import Devices, build
from whiteline.beamline.conditions import conditions
from whiteline.beamline.description import Beamline
from whiteline.beamline.dose_meter import DoseMeter
from whiteline.beamline.found_calibrations import calibrations_told
from whiteline.beamline.halting import close_when_halted
from whiteline.beamline.kept_calibrations import KeptCalibrations
from whiteline.beamline.lasting_metadata import LastingMetadata
from whiteline.beamline.log_file import logging_to
from whiteline.beamline.progress import ScanProgress
from whiteline.beamline.published import publishing
from whiteline.beamline.resuming import resume
from whiteline.beamline.sample_notes import SampleNotes
from whiteline.beamline.simulated_references import simulated_references
from whiteline.beamline.sole_session import Presence
from whiteline.beamline.stopwatch import Stopwatch, at_end_of_run
from whiteline.beamline.store.writing import Store, open_store
from whiteline.beamline.woken_for_signals import WokenForSignals
from whiteline.devices.errands import search_no_more
from whiteline.devices.errors import DeviceError
from whiteline.plans.preflight import Report, TimeModel, preflight
from whiteline.plans.preflight.exposure import largest_dose
from whiteline.plans.suspenders import beam_suspender, guarded
from whiteline.plans.unfinished_event import dropping

CONNECT_S = 10.0
"""How long a beamline may take to answer [s]."""

TIMES = "times.json"
"""File of the times that runs have taught, in the folder of the store."""

LOG = Path("log") / "session.log"
"""File of what is logged, in the folder of the store."""


class Session:
    """What a scientist works with; made by `open_session`.

    Attributes
    ----------
    beamline : Beamline
        The description.
    engine : RunEngine
        With everything that watches over a scan.
    devices : Devices
        By name.
    supplemental : SupplementalData
        What is read before and after every run, and monitored in it.
    store : Store
        With the catalog, as `store.catalog`.
    live : LiveXanes
        Whose `shift`, `sharpness` and `error` plans are given.
    meter : DoseMeter
        Whose `dose` plans are given.
    kept : KeptCalibrations
        What was calibrated.
    missing : tuple of str
        Devices that did not answer, a sentence each.
    other : str
        Another session on this beamline, as a sentence; empty if there is none.
    """

    def __init__(
        self,
        beamline: Beamline,
        engine: RunEngine,
        devices: Devices,
        supplemental: SupplementalData,
        store: Store,
        live: LiveXanes,
        meter: DoseMeter,
        kept: KeptCalibrations,
        watch: Stopwatch,
        missing: Mapping[str, str],
        other: str,
    ) -> None:
        self.beamline, self.engine, self.devices, self.store = beamline, engine, devices, store
        self.supplemental, self.live, self.meter, self.kept = supplemental, live, meter, kept
        self.missing, self.other, self._lacking = tuple(missing.values()), other, frozenset(missing)
        self._watch, self._until_closed, self._closed = watch, ExitStack(), False

    @property
    def times(self) -> TimeModel:
        """What is known of the times of this beamline, from all sessions."""
        path = self._times_file
        return self._watch.model(TimeModel.from_file(path) if path.exists() else None)

    @property
    def sample(self) -> SampleNotes:
        """Material and references of the sample, as they go into every run."""
        return SampleNotes.from_metadata(self.engine.md)

    def use_sample(
        self, name: str, *, material: str | None = None, references: Mapping[str, str] | None = None
    ) -> None:
        """Say what is on the stage, until something else is.

        Parameters
        ----------
        name : str
            Of the sample, in the metadata of every run.
        material : str, optional
            Its chemical formula, for the dose.
        references : mapping of str to str, optional
            Files of reference spectra by the name of the species, for the live fit: "FILE.xdi", "FILE:eV" or
            "FILE:keV". Those of before stay if none are given.

        Raises
        ------
        ValueError
            If a file cannot be read or the material is none; nothing has changed then.
        """
        notes = SampleNotes(material, self.sample.references if references is None else references).anywhere()
        spectra, beam = self._spectra(notes), self._beam(notes)
        self.engine.md.update({"sample": name, **notes.metadata()})
        self.live.settings = replace(self.live.settings, references=spectra)
        self.meter.beam = beam

    def conditions(self, material: str | None = None, **more: Any) -> dict[str, Any]:
        """Return what `preflight` and `after_preflight` are told; parameters as those of `conditions.conditions`.

        Raises
        ------
        ValueError
            If no material is given, and none is known of the sample.
        """
        material = material or self.sample.material
        if material is None:
            raise ValueError('no material is known; give it here, or by use_sample("name", material="LiNiO2")')
        return conditions(self.beamline, self.devices.energy, material, times=self.times, **more)

    def preflight(self, plan: MsgGenerator[Any], **more: Any) -> Report:
        """Tell what a plan would do, by all that this session knows; nothing moves, and the plan is used up.

        Parameters
        ----------
        plan : generator of Msg
            As it would be given to the run engine.
        **more
            As for `plans.preflight`.
        """
        if self.sample.material is None:
            return preflight(plan, **{"energy": self.devices.energy, "times": self.times, **more})
        return preflight(plan, **self.conditions() | more)

    @property
    def dose_Gy(self) -> float:
        """Dose of the most exposed place in the last run, NaN where no beam is known [Gy].

        By the events of frames; of what tells no exposure with its events, as lines that are flown, by what was opened,
        moved and flown.
        """
        if self.meter.counted and not self.meter.trouble:
            return self.meter.gray
        times, beam = self._watch.last_run, self.meter.beam
        return nan if times is None or beam is None else largest_dose(times.exposed_s, beam)

    def resume(self, which: str | int, tell: Callable[[str], Any] = print) -> MsgGenerator[tuple[Any, ...]]:
        """Return the plan that goes on with an interrupted run; parameters and errors as `resuming.resume`."""
        self.store.wait()  # a run that has just ended may not be in the catalog yet
        also = (*self.live.parts, self.meter.dose)
        return resume(which, catalog=self.store.catalog, devices=self.devices, also=also, tell=tell)

    def close(self) -> None:
        """Keep what was learnt, and end all threads; the shutter stays as it is. Once is enough."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as last_first:  # one that fails must not keep the others from it
            last_first.callback(self._until_closed.close)
            last_first.callback(search_no_more, self.devices.values())
            last_first.callback(self.store.close)
            last_first.callback(self.live.close)
            if "heartbeat" not in self._lacking:
                last_first.callback(self._disarm)
            last_first.callback(self._watch.save, self._times_file)

    def _disarm(self) -> None:
        with suppress(RuntimeError):  # an IOC that is lost closes the shutter by itself
            self.devices.heartbeat.disarm().wait(CONNECT_S)

    def _spectra(self, notes: SampleNotes) -> tuple[Spectrum, ...]:
        return notes.spectra() or simulated_references(self.beamline)

    def _beam(self, notes: SampleNotes) -> BeamOnSample | None:
        if notes.material is None:
            return None
        return BeamOnSample.best_known(self.beamline, notes.material, self.beamline.energy.low)

    @property
    def _times_file(self) -> Path:
        return self.beamline.store.folder / TIMES


def open_session(
    beamline: Beamline,
    *,
    references: Sequence[Spectrum] | None = None,
    material: str | None = None,
    tell: Callable[[str], Any] = print,
    connect_s: float = CONNECT_S,
    interruptible: bool = False,
    publish: str | None = None,
) -> Session:
    """Open a session.

    Parameters
    ----------
    beamline : Beamline
        Its description.
    references : sequence of Spectrum, optional
        Of the live fit, instead of those that the metadata name; see `Session.use_sample`.
    material : str, optional
        Chemical formula of the sample, instead of that of the metadata.
    tell : callable
        Given a line at the end of each run, and what goes wrong beside a scan.
    connect_s : float
        How long devices may take to answer [s]. Those that do not are named in `missing`; the session opens, without
        them in the baseline of its runs, and without what guards a beam that it cannot see.
    interruptible : bool
        Whether Ctrl-C pauses a scan, as at a prompt; the run engine must then be used in the main thread.
    publish : str, optional
        Address on loopback at which `whiteline live` listens, such as "tcp://127.0.0.1:5577"; one that is taken is
        told of.

    Returns
    -------
    Session

    Raises
    ------
    CatalogError
        If the catalog cannot be opened.
    ValueError
        If kept calibrations or references cannot be read, the material is none, or `publish` is not on loopback.
    """
    folder = beamline.store.folder
    kept = KeptCalibrations(folder / "calibrations", tell)
    with ExitStack() as until_closed:
        devices = build(beamline, calibrations=kept.newest())
        store = open_store(beamline, tell=tell)
        missing = _missing(devices, connect_s)  # they have connected meanwhile, those that do
        presence = until_closed.enter_context(Presence(folder))
        until_closed.enter_context(logging_to(folder / LOG))
        watch = Stopwatch(energy=devices.energy)
        live = LiveXanes(stage=("sample_y", "sample_x"), incident_current=True, folder=folder / "results")
        meter = DoseMeter(None, "camera")
        managers = [SigintHandler] if interruptible else []
        engine: Any = RunEngine(
            LastingMetadata(folder / "metadata.json"),  # type: ignore[arg-type]
            context_managers=managers, during_task=WokenForSignals(),
        )  # fmt: skip
        engine.msg_hook = watch
        supplemental = SupplementalData()  # type: ignore[no-untyped-call]
        engine.preprocessors += [dropping, supplemental]
        supplemental.baseline = [one for one in devices.baseline if not missing or _can_be_read(one, missing)]
        # each safeguard needs its own devices, and not those of the others
        if missing.keys().isdisjoint(("ring", "photon_shutter", "fast_shutter")):
            engine.preprocessors.append(_guard(devices))
        if "fast_shutter" not in missing:
            close_when_halted(engine, devices.fast_shutter)
        if "heartbeat" not in missing:
            devices.heartbeat.arm().wait(connect_s)
        if not presence.other and missing.keys().isdisjoint(("mono", "undulator", "energy", "energy_sweep")):
            _see_to_what_was_left(devices, beamline, connect_s, tell)
        progress = ScanProgress(note=lambda: _error_by_now(live))
        _put_away_when_paused(engine, progress)
        told = at_end_of_run(watch, tell, lambda: meter.beam)
        for subscriber in (live, meter, kept, store, progress, calibrations_told(tell), told):
            engine.subscribe(subscriber)
        if publish is not None:
            try:
                engine.subscribe(until_closed.enter_context(publishing(publish, devices.ring)))
            except OSError as error:  # nobody sees this session from elsewhere, and scans go on
                tell(str(error))
        session = Session(
            beamline, engine, devices, supplemental, store, live, meter, kept, watch, missing, presence.other,
        )  # fmt: skip
        if material is not None:
            engine.md["material"] = material
        meter.beam = session._beam(session.sample)
        try:
            found = session._spectra(session.sample) if references is None else references
        except ValueError as error:
            tell(f"fractions are not fitted live: {error}; say where the references are by use_sample(…)")
            found = ()
        live.settings = replace(live.settings, references=found)
        session._until_closed = until_closed.pop_all()
    return session


def _missing(devices: Devices, seconds: float) -> dict[str, str]:
    """Return a sentence for each device that does not answer, by its name; all are given so many seconds together."""
    deadline, found = time.monotonic() + seconds, dict[str, str]()
    for name, device in devices.items():
        try:
            device.wait_for_connection(timeout=max(0.1, deadline - time.monotonic()))
        except TimeoutError:
            found[name] = f"{name} does not answer within {seconds:g} s; `whiteline check` says which PVs are missing"
    return found


def _can_be_read(device: Any, missing: Mapping[str, str]) -> bool:
    """Tell whether a device answers where others do not: it may be made of parts of theirs."""
    if device.name in missing:
        return False
    try:
        device.describe()
        device.read()
    except (DeviceError, TimeoutError, ValueError):
        return False
    return True


def _see_to_what_was_left(devices: Devices, beamline: Beamline, seconds: float, tell: Callable[[str], Any]) -> None:
    """Undo what a session has left that was killed in a sweep, and tell of what may have been meant so."""
    if "energy_sweep" in devices:
        try:
            devices.energy_sweep.see_to_undulator().wait(seconds)
        except (DeviceError, TimeoutError) as error:  # no reason to have no session: a sweep will refuse
            tell(str(error))
    feedback = devices.mono.feedback
    if beamline.energy.feedback_off_while_moving and not feedback.is_on:
        tell(
            f"{feedback.name} is Off, as a session leaves it that is killed while the energy moves; unless it is meant "
            f"so, switch it on: {feedback.name.replace('_', '.', 1)}.set('On')"
        )


def _error_by_now(live: LiveXanes) -> str:
    """Return how well the fractions are known by now, in words; nothing as long as they are not."""
    results = live.results
    known = results is not None and isfinite(results.error.median)
    return f"median error of the fraction {results.error.median:.3f}" if known and results is not None else ""


def _put_away_when_paused(engine: Any, progress: ScanProgress) -> None:
    before = engine.state_hook

    def watch(state: str, earlier: str) -> None:
        if before is not None:
            before(state, earlier)
        if state == "paused":
            progress.put_away()

    engine.state_hook = watch


def _guard(devices: Devices) -> Callable[[Any], Any]:
    suspender = beam_suspender(
        ring_stored=devices.ring.stored,
        permit=devices.photon_shutter.permit,
        photon_shutter=devices.photon_shutter,
        shutter=devices.fast_shutter,
    )
    return lambda plan: guarded(plan, [suspender])
