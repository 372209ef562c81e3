"""The spectrum of one spot: counts at each energy of a list."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import dwell_list, energy_list, require_count, require_detectors
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import putting_back, restoring, unstaging
from whiteline.plans.shutter import closing


def xanes(
    detectors: Sequence[Readable[Any]],
    energy: Movable[Any],
    energies: Sequence[float],
    *,
    dwell_s: float | Sequence[float] | None = None,
    repeats: int = 1,
    shutter: Movable[Any] | None = None,
    signal: str | None = None,
    incident: str = "counters_incident_rate",
    reference: str = "counters_reference_rate",
    return_to: float | None = None,
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take a XANES spectrum where the sample is.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each energy, such as the counters and the fluorescence detector.
    energy : Movable
        The energy axis, that everything follows.
    energies : sequence of float
        Ascending or descending, each once [eV]; `whiteline.analysis.energies` makes such lists by regions.
    dwell_s : float or sequence of float, optional
        How long to count, at all or at each energy [s]; if it is not given, what the list says of its regions, else 1.
    repeats : int
        How often the whole list is gone through.
    shutter : Movable, optional
        Opened only while something counts.
    signal, incident, reference : str, optional
        Data keys of what tells the absorption, of the beam before the sample, and of that behind the reference foil.
    return_to : float, optional
        Energy that is gone to at the end [eV]; where the scan ends if it is not given.
    only : mapping of str to sequence of int, optional
        Numbers of the points that are taken, from 1, as ``{"primary": [4, 5]}``; those of a second repeat go on
        from the first one. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    require_detectors(detectors)
    axis = satisfying(energy, Axis, "energy")
    wanted = energy_list(energies, energy)
    dwells = dwell_list(dwell_s, energies, len(wanted))
    require_count(repeats, "repeats")
    part = Part({"primary": repeats * len(wanted)}, only)
    if return_to is not None:
        energy_list([return_to], energy, "return_to")
    arguments = {
        "detectors": detectors, "energy": energy, "energies": wanted, "dwell_s": dwells, "repeats": repeats,
        "shutter": shutter, "signal": signal, "incident": incident, "reference": reference, "return_to": return_to,
    }  # fmt: skip
    about = start_metadata(
        "xanes",
        arguments,
        md,
        roles={"energy": axis.name, "signal": signal or "", "incident": incident, "reference": reference},
        detectors=detectors,
        motors=[energy],
        energies=wanted,
        num_points=repeats * len(wanted),
        scan={"type": "XAS", "scan_input": [wanted[0], wanted[-1], len(wanted)], "dwell": dwells[0]},
        **part.about(),
    )
    steps = closing(shutter)
    settings = dwells_of(detectors)

    @bpp.run_decorator(md=about)
    def spectrum() -> MsgGenerator[None]:
        for repeat in range(repeats):
            counted_for = None
            for number, (value, dwell) in enumerate(zip(wanted, dwells, strict=True), 1 + repeat * len(wanted)):
                if not part.wants("primary", number):
                    continue
                if dwell != counted_for:
                    yield from set_dwell(settings, dwell)
                    counted_for = dwell
                yield from stubs.mv(energy, value)
                yield from take_point(detectors, [axis], shutter=shutter)

    def scan() -> MsgGenerator[str]:
        steps.extend(unstaging(energy, *detectors))
        yield from remember(settings, steps)
        if return_to is not None:
            steps.append(putting_back(energy, return_to))
        yield from stubs.stage_all(energy, *detectors)
        return (yield from spectrum())

    return (yield from restoring(scan(), steps))
