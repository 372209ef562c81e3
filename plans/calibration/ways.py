"""Which way a plan looks for the focus, by what it is given: images and a live analysis, or an edge to scan over."""

from collections.abc import Sequence
from typing import Any

from bluesky.protocols import Movable, Readable

from whiteline.plans.calibration.edge_scan import EdgeScan, edge_places
from whiteline.plans.calibration.looks import ByEdge, ByImage, Looks
from whiteline.plans.checks import require_detectors
from whiteline.plans.protocols import Axis, Camera, SampleInAndOut, satisfying


def way_to_look(
    detectors: Sequence[Readable[Any]],
    energy: Axis,
    z: Axis,
    *,
    sharpness: Readable[Any] | None,
    shift: Readable[Any] | None,
    sample: Readable[Any] | None,
    edge_axis: Movable[Any] | None,
    edge_range: Sequence[float] | None,
    signal: str | None,
    incident: str | None,
    shutter: Movable[Any] | None,
) -> Looks:
    """Return how sharpness is measured.

    Raises
    ------
    TypeError, ValueError, OutOfRange
        If neither way has all that it needs.
    """
    require_detectors(detectors)
    if edge_axis is not None:
        if sharpness is not None:
            raise ValueError("give either sharpness, of images, or edge_axis, of a scanned probe; not both")
        if edge_range is None or signal is None:
            raise ValueError("edge_axis needs edge_range = (start, stop, points) and signal, a data key")
        axis = satisfying(edge_axis, Axis, "edge_axis")
        edge = EdgeScan(
            detectors, axis, edge_places(axis, edge_range), signal=signal, incident=incident or "", also=[energy, z],
            shutter=shutter,
        )  # fmt: skip
        return ByEdge(edge, energy, z)
    if sharpness is None or sample is None:
        raise ValueError(
            "a full-field microscope needs sharpness, a part of the live analysis, and sample, for its flats; a "
            "scanning one needs edge_axis, edge_range and signal"
        )
    if len(detectors) != 1:
        raise ValueError(f"detectors = {[one.name for one in detectors]} must be the one camera that takes the images")
    satisfying(detectors[0], Camera, "detectors[0]")
    return ByImage(
        detectors[0], energy, z, sharpness=sharpness, shift=shift,
        sample=satisfying(sample, SampleInAndOut, "sample"), shutter=shutter,
    )  # fmt: skip
