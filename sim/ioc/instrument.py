"""Where everything on the floor stands, as the physics wants to know it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from whiteline.sim import full_field, nanoprobe
from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.stages import StageErrors

Readings = full_field.Readings | nanoprobe.Readings

COARSE = ("sample.coarse.x", "sample.coarse.y", "sample.coarse.z")
FINE = ("sample.fine.x", "sample.fine.y", "sample.fine.z")
ROTATION = "sample.rotation"

CREEPS_AFTER_UM = 1.0
"""A move of the sample by more than this makes it creep [µm]."""


REFLECTING_DEG = 15.0
"""A Bragg angle at which something is reflected [deg]."""


class Position(Protocol):
    """An axis, as far as the physics cares."""

    @property
    def dial(self) -> float:
        """Where it truly stands, in its own unit."""


@dataclass
class Instrument:
    """The one physical state of the beamline.

    Parameters
    ----------
    scanning : bool
        Whether it is a scanning microscope; else a full-field one.
    axes : mapping of str to Position
        By their paths in the description.
    gap : callable
        Gap of the undulator now [mm].
    errors : StageErrors
        How the stages miss, shake and wobble.
    clock : Clock
        Its time.
    floor : Floor
        What the machine tells.
    filters, foil : callable
        Names of the filters that are in the beam, and of the foil behind which the reference chamber looks.
    correction_urad : callable
        What the feedback adds to the pitch of the second crystal, at a time [s] [µrad].
    """

    scanning: bool
    axes: Mapping[str, Position]
    gap: Callable[[], float]
    errors: StageErrors
    clock: Clock
    floor: Floor
    filters: Callable[[], tuple[str, ...]]
    foil: Callable[[], str]
    correction_urad: Callable[[float], float]
    thermal_jump_urad: float = 0.0
    _moves: dict[str, int] = field(default_factory=dict)
    _crept: list[float] = field(default_factory=list)
    _unbooked: int = 0

    def moved(self, path: str, start: float, end: float) -> None:
        """Note a completed move of an axis, in its own unit."""
        if path in COARSE:
            self._moves[path] = self._moves.get(path, 0) + 1
        travelled_um = abs(end - start) * (1e3 if path in COARSE else 1.0)
        if path in COARSE + FINE and travelled_um > CREEPS_AFTER_UM:
            self._unbooked += 1
            if not self.clock.counts_later:
                self._book()

    def expose(self, clock: Clock) -> Readings:
        """Return where everything stands when a detector with this clock starts to expose."""
        clock.book(True)
        self._book()
        return self.readings()

    def _book(self) -> None:
        """Let the sample creep after the moves that were not counted yet: together, in whatever order they ended."""
        self._crept += [self.clock.now()] * self._unbooked
        self._unbooked = 0

    def readings(self) -> Readings:
        """Return where everything stands just now."""
        now = self.clock.now()
        x, y, z = self.stage_um()
        common: dict[str, Any] = {
            "bragg": self._at("monochromator.bragg"),
            "crystal_gap": self._at("monochromator.crystal_gap"),
            "undulator_gap": self.gap(),
            "pitch_urad": self._at("monochromator.pitch"),
            # the second crystal does not follow a jump of the first: only the feedback brings it back
            "fine_pitch_urad": self._at("monochromator.fine_pitch")
            + self.correction_urad(now)
            - self.thermal_jump_urad,
            "thermal_jump_urad": self.thermal_jump_urad,
            "filters": self.filters(),
            "open": self.floor.open,
            "time_s": now,
            "dumps_s": self.floor.dumps_s,
            "zone_plate_xy_um": (self._at("zone_plate.x"), self._at("zone_plate.y")),
            "sample_um": (x, y),
            "sample_z": 1e-3 * z,
            "rotation_deg": self._at(ROTATION),
            "moves_s": tuple(self._crept),
            "zone_plate": self._at("zone_plate.z"),
        }
        if self.scanning:
            return nanoprobe.Readings(
                **common,
                aperture=self._at("order_sorting_aperture.z"),
                aperture_xy_um=(self._at("order_sorting_aperture.x"), self._at("order_sorting_aperture.y")),
                mirror_pitch_urad=(self._at("mirrors.vertical.pitch"), self._at("mirrors.horizontal.pitch")),
            )
        return full_field.Readings(
            **common,
            detector=self._at("detector.z"),
            condenser_um=(self._at("condenser.x"), self._at("condenser.y")),
        )

    def stage_um(self) -> tuple[float, float, float]:
        """Return where the sample stage stands, with its landing error and wobble, without vibration (x, y, z) [µm]."""
        wobble_x, wobble_z = self.errors.wobbled_nm(self._at(ROTATION))
        wobble = (wobble_x, 0.0, wobble_z)
        x, y, z = (
            1e3 * self._at(coarse) + self._at(fine) + 1e-3 * (self.landed_nm(coarse) + wobble[number])
            for number, (coarse, fine) in enumerate(zip(COARSE, FINE, strict=True))
        )
        return x, y, z

    def landed_nm(self, coarse: str) -> float:
        """Return how far a coarse axis of the sample landed from where it was sent, with its last move [nm]."""
        move = self._moves.get(coarse, 0)
        return self.errors.landed_nm(COARSE.index(coarse), move) if move else 0.0

    def _at(self, path: str) -> float:
        """Return the position of an axis; one that this microscope has not stands at 0."""
        axis = self.axes.get(path)
        return axis.dial if axis else 0.0


def without_beam(readings: Readings) -> Readings:
    """Return readings that differ in that no beam comes, for crystals that stand where nothing is reflected."""
    return replace(readings, open=False, bragg=REFLECTING_DEG)
