"""The dose that the sample has been given in the run that goes on, at its most exposed place, for plans that end by it.

    meter = DoseMeter(beam, camera)     # a beam that is known: of a flat, a chamber or the description
    RE.subscribe(meter)
    RE(xanes_stack(..., passes=5, dose_budget_Gy=2e9, dose=meter.dose))

Frames with the sample in the beam give dose, and those that are only looked at do too; flats and darks do not.
"""

from collections.abc import Mapping
from typing import Any

from whiteline.analysis.live.doors import Part, Quantity
from whiteline.analysis.live.status import NotAnalysed, Pending
from whiteline.beamline.beam_on_sample import BeamOnSample

EXPOSING = "primary", "look"
"""Streams whose frames see the sample."""

TIMEOUT_S = 5.0


class DoseMeter:
    """Counts the dose of a run from its documents.

    Parameters
    ----------
    beam : BeamOnSample or None
        Its dose rate by energy; without one, what asks for the dose is refused.
    camera : str
        Name of the camera, whose exposure stands in each event.
    energy : str
        Data key of the energy.

    Attributes
    ----------
    beam : BeamOnSample or None
        As above; it may be replaced between runs, as when another sample is put in.
    dose : Part
        What a plan triggers and reads: its value ends in "gray" [Gy].
    gray : float
        Dose of the most exposed place in this run so far [Gy].
    """

    def __init__(self, beam: BeamOnSample | None, camera: str, energy: str = "energy") -> None:
        self.beam, self._camera, self._energy = beam, camera, energy
        self.dose = Part("dose", {"gray": Quantity("Gy")}, self._tell, TIMEOUT_S)
        self._begin({})

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        """Take a document."""
        if name == "start":
            self._begin(document)
        elif name == "descriptor":
            self._stream[str(document["uid"])] = str(document.get("name"))
            configuration = dict(document.get("configuration") or {}).get(self._camera, {}).get("data", {})
            self._readout[str(document["uid"])] = float(configuration.get(f"{self._camera}_readout") or 0.0)
        elif name == "event":
            self._add(document)

    @property
    def gray(self) -> float:
        """Dose of the most exposed place so far [Gy]."""
        return max(self._given.values(), default=0.0)

    @property
    def counted(self) -> bool:
        """Whether events of this run have told of an exposure."""
        return bool(self._given)

    @property
    def source(self) -> str:
        """What the beam is known from."""
        return "" if self.beam is None else self.beam.source

    @property
    def trouble(self) -> str:
        """Why the dose of this run is not known, "" if it is."""
        return self._trouble

    def _begin(self, start: Mapping[str, Any]) -> None:
        self._frames = int(start.get("frames_per_event") or 1)
        self._stream: dict[str, str] = {}
        self._readout: dict[str, float] = {}
        self._given: dict[Any, float] = {}
        self._trouble = ""

    def _add(self, event: Mapping[str, Any]) -> None:
        descriptor, data = str(event["descriptor"]), event["data"]
        stream = self._stream.get(descriptor, "")
        if stream not in EXPOSING:
            return
        if self.beam is None:
            self._trouble = "nothing is known of the beam on this sample; name its material"
            return
        exposure, energy = data.get(f"{self._camera}_exposure"), data.get(self._energy)
        if exposure is None or energy is None:
            self._trouble = f"events of {stream!r} say no exposure of {self._camera!r}, or no energy"
            return
        # The shutter is open from the first frame to the last, readouts between them included; and a point that was
        # measured anew has been exposed twice.
        seconds = self._frames * (float(exposure) + self._readout[descriptor])
        place = data.get("position_index")
        self._given[place] = self._given.get(place, 0.0) + self.beam.dose_per_s(float(energy)) * seconds

    def _tell(self, part: Part, status: Pending) -> None:
        if self._trouble:
            status.finish(NotAnalysed(f"the dose is not known: {self._trouble}"))
            return
        part.settle({"gray": self.gray})
        status.finish()
