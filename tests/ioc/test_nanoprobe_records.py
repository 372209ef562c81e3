"""The records of the simulated nanoprobe: fluorescence, transmitted beam, light of the sample, bias, and the truth."""

import h5py
import numpy as np
import pytest

from whiteline.analysis import tables
from whiteline.beamline import twin as physics
from whiteline.beamline.simulation import Simulated
from whiteline.beamline.simulation.listing import process_variables

DETECTOR = "NANO:fluorescence:"


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("nanoprobe", speed=20.0)


@pytest.fixture(scope="module")
def on_a_particle(twin: Simulated, ca):  # type: ignore[no-untyped-def]
    """Beam on the middle of the first particle, above the Ni edge."""
    for prefix in ("FE:shutter:", "NANO:shutter:"):
        ca.put(f"{prefix}command", "Open")
    particle = physics.nanoprobe(twin.beamline).sample.bodies[0].outline.centre
    ca.put("NANO:sample:fine:x", -particle[0])
    ca.put("NANO:sample:fine:y", -particle[1])
    angle = np.degrees(np.arcsin(np.sin(np.radians(ca.get("MONO:bragg.VAL"))) * 8333 / 8360))
    ca.put("MONO:bragg", float(angle))
    return particle


def spectra(ca, twin: Simulated, count: int, dwell_s: float):  # type: ignore[no-untyped-def]
    settings = {
        "det1:AcquireTime": dwell_s,
        "det1:NumImages": count,
        "det1:ImageMode": 1,
        "HDF1:FilePath": f"{twin.folder}/",
        "HDF1:FileName": "spectra",
        "HDF1:FileTemplate": "%s%s_%6.6d.h5",
        "HDF1:AutoIncrement": 1,
        "HDF1:FileWriteMode": 2,
        "HDF1:NumCapture": 0,
        "HDF1:EnableCallbacks": 1,
    }
    for name, value in settings.items():
        ca.put(f"{DETECTOR}{name}", value)
    ca.start(f"{DETECTOR}HDF1:Capture", 1)
    ca.wait(f"{DETECTOR}HDF1:Capture_RBV", lambda value: value == 1)
    ca.put(f"{DETECTOR}det1:Acquire", 1)
    ca.put(f"{DETECTOR}HDF1:Capture", 0)
    with h5py.File(ca.get(f"{DETECTOR}HDF1:FullFileName_RBV", as_string=True)) as file:
        data = file["entry/data/data"]
        assert data.chunks == (1, 4, 4096)
        return data[:]


def test_every_listed_variable_is_served(twin: Simulated, ca, tag: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    names = [one.name.removeprefix(tag) for one in process_variables(twin.beamline, tmp_path)]
    ca.connect(names)
    assert len(names) > 300
    assert [name for name in names if not ca(name).connected] == []


def test_spectra_show_the_nickel_line_and_the_sums_are_those_of_the_file(  # type: ignore[no-untyped-def]
    twin: Simulated, ca, on_a_particle
) -> None:
    line = int(tables.lines("Ni")[0].energy // 10)
    for element in range(1, 5):
        ca.put(f"{DETECTOR}C{element}_ROI1_LLM", line - 20)
        ca.put(f"{DETECTOR}C{element}_ROI1_HLM", line + 20)
    found = spectra(ca, twin, 3, 0.5)
    assert found.shape == (3, 4, 4096)
    summed = found.sum(axis=(0, 1))
    assert abs(int(np.argmax(summed[line - 60 : line + 60])) - 60) <= 2
    assert summed[line - 20 : line + 20].sum() > 1000
    for element in range(1, 5):
        assert ca.get(f"{DETECTOR}C{element}_ROI1:Value_RBV") == found[-1, element - 1, line - 20 : line + 20].sum()
        assert ca.get(f"{DETECTOR}C{element}_SCA3:Value_RBV") == found[-1, element - 1].sum()
        assert ca.get(f"{DETECTOR}C{element}_SCA0:Value_RBV") == 0.5 * 80e6


def test_the_transmitted_beam_is_weaker_behind_a_particle(ca, on_a_particle) -> None:  # type: ignore[no-untyped-def]
    ca.put("NANO:scaler.TP", 2.0)

    def transmission() -> float:
        ca.put("NANO:scaler.CNT", 1)
        return float(ca.get("NANO:scaler.S3") / ca.get("NANO:scaler.S2"))

    for number in (1, 2):
        ca.put(f"NANO:amplifier:{number}:gain", "1e8 V/A")
    behind = transmission()
    ca.put("NANO:sample:coarse:x", 1.0)
    beside = transmission()
    ca.put("NANO:sample:coarse:x", 0.0)
    assert behind < 0.98 * beside


def test_the_spectrometer_sees_the_light_of_the_sample(ca, on_a_particle) -> None:  # type: ignore[no-untyped-def]
    """A particle of NiO and LiNiO2 shines at 540 and 700 nm, and only in the beam."""
    ca.put("NANO:spectrometer:integration_time", 1.0)
    ca.put("NANO:spectrometer:acquire", 1)
    counts, wavelengths = ca.get("NANO:spectrometer:spectrum"), ca.get("NANO:spectrometer:wavelengths")
    assert counts.shape == wavelengths.shape == (1024,)
    bright = np.abs(wavelengths - 700) < 30
    dark = np.abs(wavelengths - 900) < 30
    assert counts[bright].mean() > counts[dark].mean() + 20
    assert counts[dark].mean() == pytest.approx(600, abs=5)


def test_the_bias_source_keeps_its_limits(ca) -> None:  # type: ignore[no-untyped-def]
    ca.put("NANO:bias:voltage", 2.5)
    assert ca.get("NANO:bias:voltage:readback") == 0.0
    ca.put("NANO:bias:output", "On")
    assert ca.get("NANO:bias:voltage:readback") == 2.5
    ca("NANO:bias:voltage").put(11.0, wait=True, timeout=30)
    assert ca.get("NANO:bias:voltage") == 2.5
    ca.put("NANO:bias:output", "Off")
    assert ca.get("NANO:bias:voltage:readback") == 0.0


def test_the_truth_of_a_raster_is_that_of_the_physics(twin: Simulated, ca, on_a_particle) -> None:  # type: ignore[no-untyped-def]
    for axis, middle in zip("xy", on_a_particle, strict=False):
        ca.put(f"SIM:truth:{axis}:start", -middle - 1.0)
        ca.put(f"SIM:truth:{axis}:stop", -middle + 1.0)
        ca.put(f"SIM:truth:{axis}:points", 9)
    spectra(ca, twin, 1, 0.1)
    ca.put("SIM:truth:write", 1)
    assert ca.severity("SIM:truth:message") == 0
    with h5py.File(ca.get("SIM:truth:file", as_string=True)) as file:
        thickness, fraction = file["truth/thickness_um"][:], file["truth/fraction"][:]
        assert list(file["truth"].attrs["species"]) == ["Ni3+", "Ni2+"]
        assert file["truth/x"][:] == pytest.approx(np.linspace(-on_a_particle[0] - 1, -on_a_particle[0] + 1, 9))
        assert (file["exposures/open"][:]).all()
        assert file["exposures/energy"][:] == pytest.approx(8360, abs=1.0)
    assert thickness.shape == fraction.shape == (2, 9, 9)
    body = physics.nanoprobe(twin.beamline).sample.bodies[0]
    core = [body.core[name] for name in ("Ni3+", "Ni2+")]
    # through the middle of a particle with a core, the shares of the volume lie between those of shell and core
    shell = [body.shell[name] for name in ("Ni3+", "Ni2+")]
    share = thickness[0, 4, 4] / thickness[:, 4, 4].sum()
    assert min(core[0], shell[0]) < share < max(core[0], shell[0])
    assert fraction[:, 4, 4].sum() == pytest.approx(1.0, abs=1e-6)


def test_no_truth_can_be_written_before_anything_is_seen(ca) -> None:  # type: ignore[no-untyped-def]
    ca.put("SIM:truth:frame", 10_000)
    ca.put("SIM:truth:write", 1)
    ca.wait("SIM:truth:message", lambda value: value == "no frame 10000 was taken", as_string=True)
    assert ca.severity("SIM:truth:message") == 2
    ca.put("SIM:truth:frame", -1)
