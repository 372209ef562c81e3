"""The twin is what its description says, and refuses what it cannot be built from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from whiteline.beamline import twin
from whiteline.beamline.description import Beamline, DescriptionError, load
from whiteline.beamline.description.simulation import SpeciesTable
from whiteline.beamline.in_focus import readings_in_focus
from whiteline.beamline.simulation.settings import beamline_settings
from whiteline.beamline.species_of import near_edge
from whiteline.sim.species import EdgeModel, modelled


def species(**changed: object) -> SpeciesTable:
    parts = {"name": "oxide", "formula": "NiO", "density": 6.67, "element": "Ni"}
    return SpeciesTable.model_validate(parts | changed)


def hidden(beamline: Beamline, **values: float) -> Beamline:
    assert beamline.simulation is not None
    secret = beamline.simulation.hidden.model_copy(update=values)
    simulation = beamline.simulation.model_copy(update={"hidden": secret})
    return beamline.model_copy(update={"simulation": simulation})


def test_without_secrets_the_laws_put_the_twin_in_focus_over_the_whole_range() -> None:
    beamline = load("txm")
    microscope = twin.full_field(beamline)
    law = beamline.undulator.law(beamline.ring)
    for energy in np.linspace(beamline.energy.low, beamline.energy.high, 36):
        readings = readings_in_focus(beamline, float(energy), law.choose_harmonic([float(energy)]))
        optics = microscope.optics(readings)
        # what is left is the jitter of the energy: 0.2 µrad RMS, six times that at the most
        jitter = 6 * 0.2e-6 * energy / np.tan(np.radians(readings.bragg))
        assert optics.energy == pytest.approx(energy, abs=jitter)
        assert abs(optics.defocus) / optics.depth_of_focus < 0.05
        assert optics.magnification == pytest.approx(32.5, rel=1e-9)
        for path, position in (("monochromator.bragg", readings.bragg), ("zone_plate.z", readings.zone_plate)):
            assert beamline.axis(path).low <= position <= beamline.axis(path).high


@pytest.mark.parametrize(
    ("secret", "energy_off", "defocus_um"),
    [
        ({"bragg_offset_deg": 1e-3}, -17.45 * 0.03412, 3.73),
        ({"zone_plate_zero_mm": 0.02}, 0.0, -20.0),
        ({"zone_plate_ppm": 100.0}, 0.0, -5.22),
        ({"spacing_ppm": 100.0}, -0.8333, 5.22),
        ({"detector_zero_mm": 10.0}, 0.0, -9.5),
    ],
)
def test_what_is_hidden_shows_in_the_truth(secret: dict[str, float], energy_off: float, defocus_um: float) -> None:
    plain = load("txm")
    readings = readings_in_focus(plain, 8333.0, 5)
    before, after = (twin.full_field(one).optics(readings) for one in (plain, hidden(plain, **secret)))
    assert after.energy - before.energy == pytest.approx(energy_off, abs=0.01)
    assert 1e3 * (after.defocus - before.defocus) == pytest.approx(defocus_um, abs=0.1)


def test_more_that_is_hidden() -> None:
    plain = load("txm")
    readings = readings_in_focus(plain, 8333.0, 5)
    before = twin.full_field(plain)
    pixel = before.optics(readings).pixel_nm
    coarser = twin.full_field(hidden(plain, objective_ppm=-1000.0)).optics(readings).pixel_nm
    assert coarser / pixel == pytest.approx(1.001, rel=1e-5)
    nearer = twin.full_field(hidden(plain, detector_zero_mm=10.0)).optics(readings).magnification
    assert before.optics(readings).magnification - nearer == pytest.approx(10 / 50.71, rel=1e-3)
    tilted = twin.full_field(hidden(plain, fine_pitch_urad=20.0))
    assert tilted.flux(replace(readings, fine_pitch_urad=20.0), 8333.0) > 1.3 * tilted.flux(readings, 8333.0)
    gap = twin.full_field(hidden(plain, undulator_gap_mm=0.01))
    moved = replace(readings, undulator_gap=readings.undulator_gap - 0.01)
    assert gap.flux(moved, 8333.0) == pytest.approx(before.flux(readings, 8333.0), rel=1e-6)
    assert gap.flux(readings, 8333.0) < 0.95 * before.flux(readings, 8333.0)


def test_offsets_that_are_known_are_followed() -> None:
    """Zeros of the axes that the description states are no error: the twin stands in focus at its energy."""
    plain = load("txm")
    assert plain.zone_plate is not None
    shifted = plain.model_copy(
        update={
            "monochromator": plain.monochromator.model_copy(update={"offset_deg": 0.02}),
            "zone_plate": plain.zone_plate.model_copy(update={"a0_mm": 0.5}),
        }
    )
    one, other = (readings_in_focus(beamline, 8333.0, 5) for beamline in (plain, shifted))
    assert (other.bragg - one.bragg, other.zone_plate - one.zone_plate) == pytest.approx((-0.02, 0.5))
    optics = twin.full_field(shifted).optics(other)
    assert optics.energy == pytest.approx(8333.0, abs=0.05)
    assert abs(optics.defocus) / optics.depth_of_focus < 0.05


def test_run_out_is_taken_back_with_and_without_a_simulation() -> None:
    plain = load("txm")
    real = plain.model_copy(update={"simulation": None})
    assert readings_in_focus(real, 8333.0, 5) == readings_in_focus(plain, 8333.0, 5)
    assert twin.full_field(plain).optics(readings_in_focus(plain, 8600.0, 5)).shift_um == pytest.approx(
        (0, 0), abs=1e-9
    )


def test_species_are_broadened_by_the_bandwidth_of_the_twin() -> None:
    microscope = twin.full_field(load("txm"))
    width = microscope.beam.monochromator.bandwidth(readings_in_focus(load("txm"), 8333.0, 5).bragg)
    model = EdgeModel(8342.3, (0.69, 8350.0, 2.3), (0.02, 8333.4, 1.2))
    grid = np.arange(8320.0, 8380.0, 0.5)
    assert microscope.sample.species[0].near_edge(grid) == pytest.approx(
        modelled("Ni", "K", model, width)(grid), abs=1e-6
    )


def test_a_seed_may_be_given_instead() -> None:
    first, second = (twin.full_field(load("txm"), seed=seed).sample.bodies for seed in (1, 2))
    assert first != second
    assert twin.full_field(load("txm")).sample.bodies == first


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: twin.full_field(load("nanoprobe")), "nanoprobe is a scanning microscope; this needs a full-field one"),
        (lambda: twin.nanoprobe(load("txm")), "txm is a full-field microscope; this needs a scanning one"),
        (lambda: readings_in_focus(load("nanoprobe"), 8333.0, 5), "a stack needs a full-field one"),
        (lambda: twin.full_field(load("txm").model_copy(update={"simulation": None})), "lacks [simulation]"),
    ],
)
def test_the_wrong_microscope(call: object, words: str) -> None:
    with pytest.raises(DescriptionError) as refused:
        call()  # type: ignore[operator]
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "channel"), [("txm", "incident"), ("nanoprobe", "incident"), ("nanoprobe", "transmitted")]
)
def test_a_counter_of_another_name_is_missed_by_its_table(name: str, channel: str, tmp_path: Path) -> None:
    beamline = load(name)
    channels = {f"my_{one}" if one == channel else one: what for one, what in beamline.counters.channels.items()}
    renamed = beamline.model_copy(update={"counters": beamline.counters.model_copy(update={"channels": channels})})
    with pytest.raises(DescriptionError, match=rf"lacks \[counters\.channels\.{channel}\], which a simulated"):
        beamline_settings(renamed, tmp_path / "truth.h5")


def test_a_missing_species_file(tmp_path: Path) -> None:
    table = species(file=tmp_path / "oxide.txt", unit="keV")
    with pytest.raises(DescriptionError, match=r"species 'oxide': .*oxide.txt cannot be read: no such file"):
        near_edge(table, 1.2)


@pytest.mark.parametrize(
    ("low", "high", "unit", "words"),
    [
        (8.2, 8.6, "eV", "8.2 looks like keV: write 8200"),
        (8400, 8600, "eV", "it must cover at least 8308 to 8383 eV"),
        (8200, 8600, "keV", "is its unit eV"),
    ],
)
def test_a_species_file_that_does_not_fit(tmp_path: Path, low: float, high: float, unit: str, words: str) -> None:
    path = tmp_path / "oxide.txt"
    np.savetxt(path, np.column_stack([np.linspace(low, high, 50), np.linspace(0, 1, 50)]))
    with pytest.raises(DescriptionError) as refused:
        near_edge(species(file=path, unit=unit), 1.2)
    assert words in str(refused.value)
    assert str(refused.value).startswith("species 'oxide': ")


def test_measured_species_in_a_description_of_a_site(measured: Path, tmp_path: Path) -> None:
    """Files of spectra are found beside the description, and are the truth as they are."""
    text = Path(str(Path(load.__code__.co_filename).parent / "txm.toml")).read_text()
    head = text[: text.index("[[simulation.species]]")]
    tables = "".join(
        f'[[simulation.species]]\nname = "{name}"\nformula = "{name}"\ndensity = {density}\nelement = "Ni"\n'
        f'file = "ni_k_{name}.txt"\nunit = "keV"\n'
        for name, density in (("LiNiO2", 4.78), ("NiO", 6.67))
    )
    site = tmp_path / "site.toml"
    site.write_text(head + tables)
    for name in ("LiNiO2", "NiO"):
        (tmp_path / f"ni_k_{name}.txt").write_text((measured / f"ni_k_{name}.txt").read_text())
    microscope = twin.full_field(load(site))
    oxide = np.loadtxt(measured / "ni_k_NiO.txt")
    there = np.unique(1000 * oxide[:, 0])[300]
    first = microscope.sample.species[1].near_edge(there)
    assert float(first) == pytest.approx(oxide[np.isclose(1000 * oxide[:, 0], there), 1].mean(), abs=1e-6)
