"""The size of the probe: a scan over a sharp edge."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans.calibration.conclude import in_run, record
from whiteline.plans.calibration.edge_scan import EdgeScan, edge_places
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.checks import require_detectors, require_dwell
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import Step, restoring, unstaging
from whiteline.plans.shutter import closing


def knife_edge(
    detectors: Sequence[Readable[Any]],
    axis: Movable[Any],
    edge_range: Sequence[float],
    *,
    signal: str,
    incident: str | None = None,
    shutter: Movable[Any] | None,
    dwell_s: float,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Scan over an edge, and fit the width of the probe.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each place.
    axis : Movable
        Of the sample [µm]; it goes back at the end.
    edge_range : sequence of float
        Start, stop [µm] and number of places.
    signal, incident : str
        Data keys of what steps at the edge, and of what it is divided by, if anything.
    shutter : Movable or None
        Open only while something counts.
    dwell_s : float
        At each place [s].
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With `fwhm`, `sigma` and `position` [µm]; none where no edge stands out, and `reason` says why.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    require_detectors(detectors)
    moved = satisfying(axis, Axis, "axis")
    require_dwell(dwell_s)
    places = edge_places(moved, edge_range)
    scanned = EdgeScan(detectors, moved, places, signal=signal, incident=incident or "", also=(), shutter=shutter)
    arguments = {
        "detectors": detectors, "axis": axis, "edge_range": list(edge_range), "signal": signal, "incident": incident,
        "shutter": shutter, "dwell_s": dwell_s,
    }  # fmt: skip
    about = start_metadata(
        "knife_edge", arguments, md, roles={"signal": signal, "incident": incident or ""}, detectors=detectors,
        motors=[moved], num_points=len(places),
    )  # fmt: skip
    steps: list[Step] = closing(shutter)

    def body(run: str) -> MsgGenerator[Calibrated]:
        edge, why, _ = yield from scanned.scan()
        if edge is None:
            found = Calibrated("probe", reason=why, run=run)
        else:
            quantities = {
                "fwhm": (edge.fwhm, edge.fwhm_error, "µm"),
                "sigma": (edge.sigma, edge.sigma_error, "µm"),
                "position": (edge.position, edge.position_error, "µm"),
            }
            found = Calibrated("probe", None, quantities, run=run, reason="it is measured, and nothing holds it")
        yield from record(found)
        return found

    def scan() -> MsgGenerator[Calibrated]:
        steps.extend(unstaging(*detectors))
        settings = dwells_of(detectors)
        yield from remember([*settings, axis], steps)
        yield from set_dwell(settings, dwell_s)
        yield from bps.stage_all(*detectors)
        return (yield from in_run(about, body))

    return (yield from restoring(scan(), steps))
