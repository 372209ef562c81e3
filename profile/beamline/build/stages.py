"""What carries the sample."""

from typing import Any

from whiteline.beamline.build.axes import axes_of, axis_settings
from whiteline.beamline.description.stages import SampleStages
from whiteline.devices.sample_stage import SampleStage


def sample_stage(stages: SampleStages) -> SampleStage:
    """Return the sample stage of a description."""
    interferometer: dict[str, Any] | None = None
    if (table := stages.interferometer) is not None:
        channels = {str(axis): number for axis, number in table.channels.items()}
        interferometer = {"prefix": table.prefix, "channels": channels, "rate_Hz": table.rate_Hz}
    return SampleStage(
        name="sample",
        coarse=axes_of(stages.coarse, "sample.coarse"),
        fine=axes_of(stages.fine, "sample.fine"),
        rotation=None if stages.rotation is None else axis_settings(stages.rotation, "sample.rotation"),
        interferometer=interferometer,
        out_mm=stages.out_mm,
        out_rotation_deg=stages.out_rotation_deg,
    )
