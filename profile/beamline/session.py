"""A session at a beamline: run engine, devices, store and live analysis, put together as scans need them.

    session = open_session(load("txm"), references=[nio, linio2])
    RE, devices = session.engine, session.devices
    RE(xanes_stack(devices.camera, devices.energy, …, shift=session.live.shift))
    session.close()

Every run goes to the store, its maps grow meanwhile, and a line at its end says how long it took and what dose it gave.
Calibrations that plans have found are kept, and are in force at the next start. A beam dump suspends any plan. A
process that dies, or a run engine that is halted, leaves no shutter open.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData

from whiteline.analysis.live import LiveXanes
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.beam_on_sample import BeamOnSample
from whiteline.beamline.build import Devices, build
from whiteline.beamline.conditions import conditions
from whiteline.beamline.description import Beamline
from whiteline.beamline.dose_meter import DoseMeter
from whiteline.beamline.halting import close_when_halted
from whiteline.beamline.kept_calibrations import KeptCalibrations
from whiteline.beamline.lasting_metadata import LastingMetadata
from whiteline.beamline.progress import ScanProgress
from whiteline.beamline.stopwatch import Stopwatch, at_end_of_run
from whiteline.beamline.store.writing import Store, open_store
from whiteline.plans.preflight import TimeModel
from whiteline.plans.suspenders import beam_suspender, guarded

CONNECT_S = 10.0
"""How long a beamline may take to answer [s]."""

TIMES = "times.json"
"""File of the times that runs have taught, in the folder of the store."""


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
    store : Store
        With the catalog, as `store.catalog`.
    live : LiveXanes
        Whose `shift`, `sharpness` and `error` plans are given.
    meter : DoseMeter or None
        Whose `dose` plans are given; None where the description knows nothing of the beam.
    kept : KeptCalibrations
        What was calibrated.
    missing : tuple of str
        Devices that did not answer, a sentence each.
    """

    def __init__(
        self,
        beamline: Beamline,
        engine: RunEngine,
        devices: Devices,
        store: Store,
        live: LiveXanes,
        meter: DoseMeter | None,
        kept: KeptCalibrations,
        watch: Stopwatch,
        missing: Sequence[str],
    ) -> None:
        self.beamline, self.engine, self.devices, self.store = beamline, engine, devices, store
        self.live, self.meter, self.kept, self.missing = live, meter, kept, tuple(missing)
        self._watch = watch

    @property
    def times(self) -> TimeModel:
        """What is known of the times of this beamline, from all sessions."""
        path = self._times_file
        return self._watch.model(TimeModel.from_file(path) if path.exists() else None)

    def conditions(self, material: str, **more: Any) -> dict[str, Any]:
        """Return what `preflight` and `after_preflight` are told; parameters as those of `conditions.conditions`."""
        return conditions(self.beamline, self.devices.energy, material, times=self.times, **more)

    def close(self) -> None:
        """Keep what was learnt, and end all threads; the shutter stays as it is."""
        self._watch.save(self._times_file)
        with suppress(RuntimeError):  # an IOC that is lost closes it by itself
            self.devices.heartbeat.disarm().wait(CONNECT_S)
        self.live.close()
        self.store.close()

    @property
    def _times_file(self) -> Path:
        return self.beamline.store.folder / TIMES


def open_session(
    beamline: Beamline,
    *,
    references: Sequence[Spectrum] = (),
    material: str | None = None,
    tell: Callable[[str], Any] = print,
    connect_s: float = CONNECT_S,
) -> Session:
    """Open a session.

    Parameters
    ----------
    beamline : Beamline
        Its description.
    references : sequence of Spectrum
        Of the live fit.
    material : str, optional
        Chemical formula of the sample, for the dose.
    tell : callable
        Given a line at the end of each run, and what goes wrong beside a scan.
    connect_s : float
        How long devices may take to answer [s]. Those that do not are named in `missing`; the session opens, without a
        baseline of its runs, and without what guards a beam that it cannot see.

    Returns
    -------
    Session

    Raises
    ------
    CatalogError
        If the catalog cannot be opened.
    ValueError
        If kept calibrations cannot be read, or the material is none.
    """
    folder = beamline.store.folder
    kept = KeptCalibrations(folder / "calibrations")
    devices = build(beamline, calibrations=kept.newest())
    missing = _missing(devices, connect_s)
    store = open_store(beamline, tell=tell)
    watch = Stopwatch(energy=devices.energy)
    live = LiveXanes(references=references, stage=("sample_y", "sample_x"), folder=folder / "results")
    beam = None
    if material is not None:
        beam = BeamOnSample.best_known(beamline, material, beamline.energy.low)
    meter = None if beam is None or beamline.camera is None else DoseMeter(beam, "camera")

    engine: Any = RunEngine(LastingMetadata(folder / "metadata.json"), context_managers=[])  # type: ignore[arg-type]
    engine.msg_hook = watch
    if not missing:
        engine.preprocessors.append(SupplementalData(baseline=devices.baseline))  # type: ignore[no-untyped-call]
        engine.preprocessors.append(_guard(devices))
        close_when_halted(engine, devices.fast_shutter)
        devices.heartbeat.arm().wait(connect_s)
    for subscriber in (live, meter, kept, store, ScanProgress(), at_end_of_run(watch, tell, lambda: beam)):
        if subscriber is not None:
            engine.subscribe(subscriber)
    return Session(beamline, engine, devices, store, live, meter, kept, watch, missing)


def _missing(devices: Devices, seconds: float) -> list[str]:
    """Return a sentence for each device that does not answer; all together are given so many seconds."""
    deadline, found = time.monotonic() + seconds, []
    for name, device in devices.items():
        try:
            device.wait_for_connection(timeout=max(0.1, deadline - time.monotonic()))
        except TimeoutError:
            found.append(f"{name} does not answer within {seconds:g} s; `whiteline check` says which PVs are missing")
    return found


def _guard(devices: Devices) -> Callable[[Any], Any]:
    suspender = beam_suspender(
        ring_stored=devices.ring.stored,
        permit=devices.photon_shutter.permit,
        photon_shutter=devices.photon_shutter,
        shutter=devices.fast_shutter,
    )
    return lambda plan: guarded(plan, [suspender])
