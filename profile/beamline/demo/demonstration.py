"""The demonstration, step by step: twin, session, calibrations, preflight, scan, maps, truth, score, exports, page."""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from whiteline.analysis.runs import find_run
from whiteline.beamline.demo import full_field, scanning
from whiteline.beamline.demo.choices import Choices
from whiteline.beamline.demo.page import write_page
from whiteline.beamline.demo.picture import draw
from whiteline.beamline.demo.references import read_references
from whiteline.beamline.demo.sample import Sample, make_sample
from whiteline.beamline.demo.spectra import spectra_of
from whiteline.beamline.score.scored import Scored
from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options

CONNECT_S = 60.0
"""How long the IOCs may take to answer for all devices, on a machine that is busy [s]."""

MAPS_S = 300.0
"""How long the last maps may take after the scan [s]."""

FIELD_SHARE = 0.98
"""Of the field of view that particles lie in."""

FORMS = ("nxstxm", "csv")
"""Which exports are made."""

WAYS: Mapping[str, Any] = {"txm": full_field, "nanoprobe": scanning}
"""How each beamline is demonstrated."""

HELD = {"txm": "held against its drift", "nanoprobe": "followed where it drifted to"}

Tell = Callable[[str], Any]


class DemonstrationFailed(RuntimeError):
    """A step that did not come to its end."""


@dataclass(frozen=True, eq=False)
class Demonstrated:
    """What a demonstration has made.

    Parameters
    ----------
    choices : Choices
        What it was told.
    sample : Sample
        What it was made of.
    scored : Scored
        The run with its maps, its truth and its score.
    scan_s, predicted_s : float
        How long the scan took, and how long it was predicted to [s].
    dose_Gy : float
        Of the most exposed place; NaN where it is not known [Gy].
    preflight : str
        What was predicted, as it is shown.
    files : tuple of Path
        The page, its picture, what was exported, the maps and the truth.
    """

    choices: Choices
    sample: Sample
    scored: Scored
    scan_s: float
    predicted_s: float
    dose_Gy: float
    preflight: str
    files: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return its figures as JSON has them."""
        card = self.scored.card.as_dict()
        return {
            "uid": self.scored.run.uid,
            "scan_s": round(self.scan_s, 3),
            "predicted_s": round(self.predicted_s, 3),
            "speed": self.choices.times_faster,
            **{key: card[key] for key in SHOWN},
            "dose_Gy": self.dose_Gy if math.isfinite(self.dose_Gy) else None,
            "frames_lost": card["frames_lost"],
            "files": [str(one) for one in self.files],
        }


SHOWN = (
    "energies", "pixels", "valid_pixels", "fraction_rms", "fraction_bound", "fraction_pull_rms", "edge_rms_eV",
    "edge_bias_eV", "defocus_max_dof", "drift_residual_px",
)  # fmt: skip
"""Figures of the card that stand in the JSON, in this order."""


def demonstrate(choices: Choices, tell: Tell) -> Demonstrated:
    """Run a demonstration, and leave nothing running.

    Parameters
    ----------
    choices : Choices
        What to show.
    tell : callable
        Given what is going on, a line at a time.

    Raises
    ------
    ValueError
        If a spectrum cannot be used.
    DemonstrationFailed
        If a calibration or the scan did not come to its end.
    OSError
        If files cannot be written, or the twin does not start.
    """
    references = read_references(choices.references)
    way, speed = WAYS[choices.beamline], choices.times_faster
    field_um = FIELD_SHARE * choices.side * way.PIXEL_UM
    sample = make_sample(choices.beamline, references, field_um, choices.seed, choices.folder, way.DRIFT, way.PARTICLES)
    data = choices.folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    options = Options(beamline=str(sample.beamline), speed=speed, seed=choices.seed, data=data, clock=way.CLOCK)
    made_of = ", ".join(one.name for one in sample.references)
    tell(f"a sample of {made_of} at the {sample.element} {sample.edge} edge, of seed {choices.seed}")
    with simulated(options) as twin:
        tell(
            f"{twin.beamline.title} answers after {twin.ready_s:.1f} s; it moves and exposes {speed:g} × as "
            "fast as a real one, with errors of energy and focus that nobody is told"
        )
        # imported here: with ophyd comes the client library, which reads where to search but once
        from bluesky.utils import FailedStatus
        from epics import ca

        from whiteline.beamline.session import open_session
        from whiteline.plans.failures import sentence_of

        session = open_session(
            twin.beamline, references=sample.references, material=sample.formula, tell=tell, connect_s=CONNECT_S,
            interruptible=True,
        )  # fmt: skip
        try:
            if session.missing:
                raise DemonstrationFailed(session.missing[0])
            return _shown(choices, sample, session, tell)
        except DemonstrationFailed:
            raise
        except (FailedStatus, RuntimeError) as error:  # of a device, a plan, or the live analysis
            raise DemonstrationFailed(sentence_of(error)) from error
        finally:
            session.close()
            ca.disable_ca_messages()  # the IOCs end now, which is no news


def _shown(choices: Choices, sample: Sample, session: Any, tell: Tell) -> Demonstrated:
    from whiteline.analysis.live.saving import save
    from whiteline.beamline.score.asking import keep_truth
    from whiteline.beamline.score.scoring import score_run

    known = max(one.energy[0] for one in sample.references), min(one.energy[-1] for one in sample.references)
    energies = choices.list_of(sample.element, sample.edge, known)
    way, studied = WAYS[choices.beamline], (sample.element, sample.edge)
    way.prepare(session, choices.side, *studied)
    for said, plan in way.calibrations(session, *studied, energies):
        tell(said)
        calibrate(session, plan)

    def scan() -> Any:
        return way.scan_plan(session, choices.side, *studied, energies)

    times = replace(session.times, pace=1 / choices.times_faster)
    report = session.preflight(scan(), times=times)
    tell(str(report))
    begun = time.monotonic()
    uid = run_of(session, scan())
    scan_s = time.monotonic() - begun
    results = session.live.wait(MAPS_S)
    tell(f"live analysis: {session.live.progress}")
    session.store.wait(MAPS_S)
    run = find_run(session.store.catalog, uid)
    truth = keep_truth(session.beamline, run)
    scored = score_run(run, truth, results=results)
    maps = Path(save(results, choices.folder / "data" / "catalog" / "results")["path"])
    picture, page = choices.out / "demo.png", choices.out / "demo.html"
    files = (page, picture, *exports(run, choices, sample, tell), maps, truth)
    title = titled(scored, session.beamline.title)
    draw(scored, spectra_of(scored, session.live.rows()), title, picture)
    made = Demonstrated(choices, sample, scored, scan_s, report.seconds, session.dose_Gy, str(report), files)
    write_page(page, title, sentences(made), scored.card, picture, made.preflight, files[1:])
    return made


def titled(scored: Scored, beamline: str) -> str:
    """Return what a run is, in a line."""
    rows, columns = scored.truth.particles.shape
    names = ", ".join(scored.truth.names)
    return (
        f"{beamline}: {names}, {scored.card.energies} energies over the edge at {scored.truth.edge_eV:.0f} eV, "
        f"{rows} × {columns} pixels of {1e3 * (scored.results.pixel_um or math.nan):.0f} nm"
    )


def sentences(made: Demonstrated) -> list[str]:
    """Return what is said of a demonstration beneath its title."""
    card = made.scored.card
    dose = f"dose {made.dose_Gy:.2g} Gy" if math.isfinite(made.dose_Gy) else "its dose was not metered"
    return [
        f"Run {made.scored.run.uid}. The scan took {made.scan_s:.0f} s, predicted {made.predicted_s:.0f} s, on a "
        f"simulated beamline that moves and exposes {made.choices.times_faster:g} times as fast as a real one; "
        f"{dose}.",
        "Energy and focus were off by errors that nobody was told, and were calibrated "
        f"by plans; then {card.energies} energies were taken with the optics following, and the sample "
        f"{HELD[made.choices.beamline]}. "
        f"{card.valid_pixels} of {card.pixels} pixels have a fraction that is known well enough.",
    ]


def calibrate(session: Any, plan: Any) -> None:
    """Run a calibrating plan; the session tells what it has found.

    Raises
    ------
    DemonstrationFailed
        If nothing was applied.
    """
    found: list[dict[str, Any]] = []
    token = session.engine.subscribe(lambda _, event: found.append(event["data"]), "event")
    try:
        taken(session.engine, plan)
    finally:
        session.engine.unsubscribe(token)
    last = next((one for one in reversed(found) if "calibration_applied" in one), None)
    if last is None or not last["calibration_applied"]:
        reason = "nothing was found" if last is None else last["calibration_reason"]
        raise DemonstrationFailed(f"the calibration was not applied: {reason}; try another seed")


def run_of(session: Any, plan: Any) -> str:
    """Take the scan, and return its run.

    Raises
    ------
    DemonstrationFailed
        If it was stopped.
    """
    uids = taken(session.engine, plan)
    if not uids:
        raise DemonstrationFailed("the scan was stopped before it began")
    return str(uids[-1])


def taken(engine: Any, plan: Any) -> tuple[str, ...]:
    """Run a plan; at Ctrl-C it is aborted, which closes the shutter and brings everything back, before this ends."""
    from bluesky.utils import RunEngineInterrupted

    try:
        return tuple(engine(plan))
    except (KeyboardInterrupt, RunEngineInterrupted) as error:
        if engine.state != "idle":
            engine.abort("Ctrl-C")
        raise KeyboardInterrupt from error


def exports(run: Any, choices: Choices, sample: Sample, tell: Tell) -> tuple[Path, ...]:
    """Export the run in the usual formats; one that fails is told of, and spoils no other."""
    from whiteline.analysis.exports import export

    made: list[Path] = []
    for form in FORMS:
        out = choices.folder / "exports"
        out.mkdir(exist_ok=True)
        try:
            made += export(run, form, out, force=True, references=sample.references)
        except ValueError as error:
            tell(f"no {form} was exported: {error}")
    return tuple(made)
