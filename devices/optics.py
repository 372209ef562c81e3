"""The optics along the beam: zone plate, order-sorting aperture, condenser, Kirkpatrick–Baez pair, detector stage.

Each knows its own law and calibration, and answers where it must stand; what moves them together is the energy axis.
"""

from collections.abc import Mapping
from typing import Any

from ophyd import Component, Device

from whiteline.analysis.calibration import FocusCalibration, Table
from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.bragg import wavelength
from whiteline.analysis.laws.scanning import OrderSortingAperture as ApertureLaw
from whiteline.analysis.laws.scanning import beam_walk, mirror_aperture, mirror_spot
from whiteline.analysis.laws.zone_plate import ZonePlate as ZonePlateLaw
from whiteline.devices.axis import AxisOf, PartOf, WithAxes
from whiteline.devices.calibrated import CalibrationSignal
from whiteline.devices.legs import HERE, Leg, Stands
from whiteline.devices.motor import AxisSettings
from whiteline.devices.shown import Computed, Parameter

FOCUS_DEAD_BAND = 0.02
"""Part of the depth of focus by which a zone plate may be off before it is moved."""

ACROSS_DEAD_BAND_UM = 0.002
"""By how much a zone plate may be off across the beam before it is moved [µm]; a tenth of a pixel."""


class ZonePlate(WithAxes):
    """A zone plate on three axes: z [mm] along the beam, x and y [µm] across it.

    Parameters
    ----------
    axes : mapping of str to AxisSettings
        Of x, y and z.
    calibration : FocusCalibration
        A0, A1 and the run-out of z.
    straight_at_mm : float
        Reading of z at which the zone plate stands on the optical axis with x and y at 0 [mm].
    """

    x = AxisOf()
    y = AxisOf()
    z = AxisOf(kind="hinted")
    calibration = Component(CalibrationSignal, of=FocusCalibration, kind="config")
    straight_at = Component(Parameter, value=0.0, kind="config", unit="mm")
    centre_x = Component(Parameter, value=0.0, kind="config", unit="um", doc="where it was aligned, at straight_at")
    centre_y = Component(Parameter, value=0.0, kind="config", unit="um", doc="where it was aligned, at straight_at")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        axes: Mapping[str, AxisSettings],
        calibration: FocusCalibration,
        straight_at_mm: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, name=name, axes=axes, **kwargs)
        self.calibration.put(calibration)
        self.straight_at.put(float(straight_at_mm))

    @property
    def law(self) -> ZonePlateLaw:
        """The zone plate, as designed."""
        return self.calibration.calibration.zone_plate

    def across(self, z: float) -> tuple[float, float]:
        """Return x and y [µm] that take back the run-out of z, for a reading of it [mm], from where it was centred."""
        x, y = self.calibration.calibration.wander(z, self.straight_at.get())
        return float(self.centre_x.get()) - x, float(self.centre_y.get()) - y

    def legs_to(self, z: float, energy: float, stands: Stands = HERE) -> list[Leg]:
        """Return the legs of z, x and y to a reading of z [mm]; z moves if it is out of focus at this energy [eV]."""
        dead_band = FOCUS_DEAD_BAND * 1e-3 * self.law.depth_of_focus(energy)
        x, y = self.across(z)
        return [
            stands.leg(self.z, z, dead_band),
            stands.leg(self.x, x, ACROSS_DEAD_BAND_UM),
            stands.leg(self.y, y, ACROSS_DEAD_BAND_UM),
        ]


class Condenser(WithAxes):
    """What lights the sample of a full-field microscope.

    Parameters
    ----------
    axes : mapping of str to AxisSettings
        Of x, y [µm] and z [mm].
    law : ZonePlate or None
        Of a zone-plate condenser, which follows the energy; None for a capillary, which is achromatic.
    zero_mm : float
        Reading of z at which a zone-plate condenser would stand in the plane of the sample [mm].
    """

    x = AxisOf()
    y = AxisOf()
    z = AxisOf()

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        axes: Mapping[str, AxisSettings],
        law: ZonePlateLaw | None = None,
        zero_mm: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.law, self.zero_mm = law, zero_mm
        super().__init__(prefix, name=name, axes=axes, **kwargs)

    def legs_to(self, energy: float, stands: Stands = HERE) -> list[Leg]:
        """Return the leg of z to an energy [eV], one focal length upstream of the sample; none for a capillary."""
        if self.law is None:
            return []
        z = self.zero_mm - self.law.focal_length(energy)
        return [stands.leg(self.z, z, FOCUS_DEAD_BAND * 1e-3 * self.law.depth_of_focus(energy))]


class OrderSortingAperture(WithAxes):
    """The pinhole upstream of the sample of a scanning microscope; z [mm] reads negative.

    Parameters
    ----------
    axes : mapping of str to AxisSettings
        Of x, y [µm] and z [mm].
    law : OrderSortingAperture
        What passes it, and how near to the sample it may come.
    distance_mm : float
        Where it stands, upstream of the sample [mm].
    """

    x = AxisOf()
    y = AxisOf()
    z = AxisOf(kind="hinted")
    distance = Component(Parameter, value=0.0, kind="config", unit="mm")
    zero = Component(Parameter, value=0.0, kind="config", unit="mm", doc="reading of z in the plane of the sample")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        axes: Mapping[str, AxisSettings],
        law: ApertureLaw,
        distance_mm: float,
        **kwargs: Any,
    ) -> None:
        self.law = law
        super().__init__(prefix, name=name, axes=axes, **kwargs)
        self.distance.put(float(distance_mm))

    def z_at(self, focal_length: float) -> float:
        """Return the reading of z [mm] for a focal length [mm].

        Raises
        ------
        OutOfRange
            If it would touch the sample there, or cut the first order.
        """
        distance = float(self.distance.get())
        self.law.check(distance, focal_length)
        return float(self.zero.get()) - distance


class Mirror(WithAxes):
    """One mirror of a Kirkpatrick–Baez pair.

    Parameters
    ----------
    axes : mapping of str to AxisSettings
        Of pitch [µrad].
    focal_length_mm, length_mm, angle_mrad : float
        From its middle to the focus, its length, and its grazing angle.
    largest_walk_um : float
        By how much the spot may have walked since the mirror was aligned [µm].
    """

    pitch = AxisOf(kind="hinted")
    aligned_at = Component(Parameter, value=0.0, kind="config", unit="urad", doc="pitch when it was aligned")
    beam_walk = Component(Computed, compute=lambda mirror: mirror.walk_um(mirror.pitch.position), unit="um")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        axes: Mapping[str, AxisSettings],
        focal_length_mm: float,
        length_mm: float,
        angle_mrad: float,
        largest_walk_um: float,
        **kwargs: Any,
    ) -> None:
        self.focal_length_mm, self.largest_walk_um = focal_length_mm, largest_walk_um
        self.numerical_aperture = mirror_aperture(length_mm, angle_mrad, focal_length_mm)
        super().__init__(prefix, name=name, axes=axes, **kwargs)

    def walk_um(self, pitch: float) -> float:
        """Return how far the spot has walked at a pitch [µrad] since the alignment [µm]."""
        return beam_walk(pitch - float(self.aligned_at.get()), self.focal_length_mm)

    def spot_nm(self, energy: float) -> float:
        """Return the diffraction-limited spot at an energy [eV], full width at half maximum [nm]."""
        return mirror_spot(energy, self.numerical_aperture)

    def depth_of_focus(self, energy: float) -> float:
        """Return the full depth of focus at an energy [eV], λ / NA² [µm]."""
        return 1e-4 * wavelength(energy) / self.numerical_aperture**2

    def require_on_spot(self) -> None:
        """Raise if the spot has walked too far.

        Raises
        ------
        OutOfRange
            Naming the walk and its limit.
        """
        walk = self.walk_um(self.pitch.position)
        if abs(walk) > self.largest_walk_um:
            limit = f"is above {self.largest_walk_um:g} µm"
            remedy = f"align the mirror, or put {self.pitch.name} back to {self.aligned_at.get():g} µrad"
            raise OutOfRange(f"beam walk of {self.name}", walk, limit, "µm", remedy)


class KirkpatrickBaez(Device):
    """A pair of mirrors: achromatic, so that nothing follows the energy, but its spot may walk.

    Parameters
    ----------
    mirrors : mapping of str to mapping
        What `vertical` and `horizontal`, both `Mirror`, are built with.
    """

    vertical = PartOf(Mirror)
    horizontal = PartOf(Mirror)

    def __init__(self, prefix: str = "", *, name: str, mirrors: Mapping[str, Mapping[str, Any]], **kwargs: Any) -> None:
        self.parts = mirrors
        super().__init__(prefix, name=name, **kwargs)

    def depth_of_focus(self, energy: float) -> float:
        """Return the full depth of focus at an energy [eV], of the mirror that has the smaller one [µm]."""
        return min(self.vertical.depth_of_focus(energy), self.horizontal.depth_of_focus(energy))

    def require_on_spot(self) -> None:
        """Raise if the spot of either mirror has walked too far.

        Raises
        ------
        OutOfRange
            Naming the mirror, the walk and its limit.
        """
        self.vertical.require_on_spot()
        self.horizontal.require_on_spot()


def require_millimetres(table: Table) -> None:
    """Refuse a table of something else than positions in mm.

    Raises
    ------
    ValueError
        Naming what it is of.
    """
    if table.unit != "mm":
        raise ValueError(f"a table of the detector is in mm; that of {table.axis} is in {table.unit}")


class DetectorStage(WithAxes):
    """The stage of the camera along the beam; z [mm] reads the distance from the sample.

    Parameters
    ----------
    axes : mapping of str to AxisSettings
        Of z.
    table : Table or None
        Measured positions against energy, for a detector that goes by them.
    """

    z = AxisOf(kind="hinted")
    table = Component(CalibrationSignal, of=Table, check=require_millimetres, kind="config")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        axes: Mapping[str, AxisSettings],
        table: Table | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, name=name, axes=axes, **kwargs)
        if table is not None:
            self.table.put(table)
