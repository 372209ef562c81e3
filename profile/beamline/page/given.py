"""What a run is analysed with: references and material as its start document names them, unless others were given."""

from collections.abc import Mapping, Sequence
from typing import Any

from whiteline.analysis.live.settings import Settings
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.beam_on_sample import BeamOnSample
from whiteline.beamline.description import Beamline
from whiteline.beamline.dose_meter import DoseMeter
from whiteline.beamline.sample_notes import SampleNotes
from whiteline.beamline.simulated_references import simulated_references


class Given:
    """What the page was given, and what it takes from runs.

    Parameters
    ----------
    beamline : Beamline
        The description.
    references : sequence of Spectrum
        Instead of those that runs name.
    material : str, optional
        Chemical formula, instead of that which runs name.
    """

    def __init__(self, beamline: Beamline, references: Sequence[Spectrum] = (), material: str | None = None) -> None:
        self.beamline, self._references, self._material = beamline, tuple(references), material

    @property
    def path_map(self) -> dict[str, str]:
        """From folders as IOCs name them to folders of this machine."""
        detectors = (self.beamline.camera, self.beamline.fluorescence, self.beamline.capture)
        return {str(one.files.write): str(one.files.read) for one in detectors if one is not None}

    def settings(self, start: Mapping[str, Any]) -> tuple[Settings, str]:
        """Return the settings of the analysis of a run, and why its references are missing, "" if they are not."""
        stage = ("sample_y", "sample_x")
        try:
            found = self._references or SampleNotes.from_metadata(start).spectra() or self._simulated()
            return Settings(references=found, stage=stage, incident_current=True), ""
        except (ValueError, TypeError, AttributeError) as error:
            return Settings(stage=stage, incident_current=True), f"no fractions are fitted: {error}"

    def meter(self, start: Mapping[str, Any]) -> DoseMeter | str:
        """Return what counts the dose of a run, or why nothing does."""
        material = self._material or start.get("material")
        if self.beamline.camera is None:
            return "it is counted for frames of a camera"
        if not isinstance(material, str) or not material:
            return "no material is known"
        try:
            beam = BeamOnSample.best_known(self.beamline, material, self.beamline.energy.low)
        except ValueError as error:
            return str(error)
        return "the description knows nothing of the beam" if beam is None else DoseMeter(beam, "camera")

    def _simulated(self) -> tuple[Spectrum, ...]:
        return simulated_references(self.beamline)
