"""What a preflight is told of a beamline: its beam and budget for a material, and where its detectors write."""

from typing import Any

from whiteline.analysis.runs import Run
from whiteline.beamline.beam_on_sample import BeamOnSample
from whiteline.beamline.description import Beamline
from whiteline.beamline.store.catalog import readable_folders
from whiteline.plans.preflight import TimeModel


def conditions(
    beamline: Beamline,
    energy: Any,
    material: str,
    *,
    times: TimeModel | None = None,
    flat: Run | None = None,
    current_A: float | None = None,
    thickness_um: float | None = None,
) -> dict[str, Any]:
    """Return what `preflight` takes besides the plan, as `conditions` of `after_preflight`.

        RE(after_preflight(xanes_stack, …, conditions=conditions(beamline, devices.energy, "LiFePO4")))

    Parameters
    ----------
    beamline : Beamline
        Its description, with the dose budgets by material.
    energy : object
        The energy axis.
    material : str
        Chemical formula of the sample.
    times : TimeModel, optional
        What earlier runs have taught.
    flat, current_A : optional
        What the beam is known from, as in `BeamOnSample.best_known`.
    thickness_um : float, optional
        Of the sample [µm].

    Raises
    ------
    ValueError
        If the formula cannot be read.
    """
    return {
        "energy": energy,
        "times": times,
        "beam": BeamOnSample.best_known(beamline, material, float(energy.position), flat=flat, current_A=current_A),
        "budget_Gy": beamline.dose_budgets_Gy.get(material),
        "folders": readable_folders(beamline),
        "thickness_um": thickness_um,
    }
