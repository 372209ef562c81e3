from pathlib import Path

import numpy as np
import pytest

from whiteline.analysis import tables
from whiteline.analysis.spectrum_files import read_columns, read_xdi
from whiteline.sim.bodies import Body, Ellipsoid, projected
from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.sample import Sample, particles
from whiteline.sim.species import EdgeModel, NearEdge, Species, modelled

MODEL = EdgeModel(8340.5, (0.77, 8347.7, 2.2), (0.02, 8333.4, 1.2))


def species(name: str, formula: str = "NiO", density: float = 6.67) -> Species:
    return Species(name, formula, density, modelled("Ni", "K", MODEL, 1.2))


def test_a_model_goes_from_0_to_1_over_its_edge() -> None:
    edge = modelled("Ni", "K", MODEL, 1.2)
    assert edge(8200.0) == pytest.approx(0, abs=5e-3)
    assert edge(8600.0) == pytest.approx(1, abs=5e-3)
    assert float(edge(8347.5)) > 1.5


def test_the_parts_of_a_model() -> None:
    plain = EdgeModel(8340.0, (0.0, 8350.0, 3.0))
    at = np.array([8340.0, 8340.0 + 1.44 / 2, 8335.0])
    assert plain.absorption(at, 1.44)[:2] == pytest.approx([0.5, 0.75])
    peaked = EdgeModel(8340.0, (0.0, 8350.0, 3.0), (0.2, 8335.0, 1.5))
    assert (peaked.absorption(at, 1.44) - plain.absorption(at, 1.44))[2] == pytest.approx(0.2)
    white = EdgeModel(8340.0, (0.9, 8350.0, 3.0))
    beside = np.array([8350.0, 8353.0])
    assert white.absorption(beside, 1.44) - plain.absorption(beside, 1.44) == pytest.approx([0.9, 0.45])


def test_vacancies_fall_with_energy_as_the_atoms_of_the_element_do() -> None:
    one = species("oxide")
    for energy in (9000.0, 12000.0):
        edge = (1 - 1 / tables.jump_ratio("Ni")) * tables.partial_absorption("NiO", 6.67, "Ni", energy)
        assert one.vacancies(energy) == pytest.approx(edge, rel=0.01)


def test_vacancies_at_many_energies_are_those_at_each() -> None:
    one, energies = species("oxide"), np.linspace(8200.0, 9000.0, 41)
    assert one.vacancies_at(energies) == pytest.approx([one.vacancies(float(energy)) for energy in energies], rel=1e-12)


def test_other_elements_fluoresce_by_their_atoms() -> None:
    formula = "LiNi0.8Mn0.1Co0.1O2"
    mixed = Species("nmc", formula, 4.75, modelled("Ni", "K", MODEL, 1.2))
    emitted = mixed.fluorescence(8600.0)
    lines = {line.energy for line in tables.lines("Mn")}
    manganese = sum(photons for energy, photons in emitted if energy in lines)
    edge = (1 - 1 / tables.jump_ratio("Mn")) * tables.partial_absorption(formula, 4.75, "Mn", 8600.0)
    share = sum(line.branching for line in tables.lines("Mn"))
    assert manganese == pytest.approx(edge * tables.fluorescence_yield("Mn") * share, rel=1e-6)
    below = {energy for energy, _ in mixed.fluorescence(6600.0)}
    assert lines <= below
    assert not below & {line.energy for line in tables.lines("Co")}


def test_a_raw_spectrum_is_refused_as_not_normalised(measured: Path) -> None:
    foil = read_xdi(measured / "ni_k_foil.xdi")
    with pytest.raises(ValueError, match=r"is not normalised: it is -1.\d+ before the edge .*; subtract the line"):
        NearEdge("Ni", "K", foil.energy, foil.absorption)


def test_a_species_holds_the_element_that_is_studied() -> None:
    with pytest.raises(ValueError, match=r"FeO holds no Ni; it holds Fe, O"):
        species("iron", "FeO", 5.7)


def test_the_resolution_broadens_a_model_as_folding_with_a_gaussian_does() -> None:
    sharp, broad = modelled("Ni", "K", MODEL, 0.2), modelled("Ni", "K", MODEL, 3.0)
    grid = np.arange(8250.0, 8450.0, 0.1)
    sigma = np.sqrt(3.0**2 - 0.2**2) / 2.3548
    offsets = np.arange(-10, 10.05, 0.1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    folded = np.convolve(sharp(grid), kernel / kernel.sum(), mode="same")
    inner = slice(200, -200)
    assert np.abs(folded[inner] - broad(grid)[inner]).max() < 1e-3


def test_measured_spectra_are_taken_as_they_are(measured: Path) -> None:
    spectrum = read_columns(measured / "ni_k_NiO.txt", "keV")
    edge = NearEdge("Ni", "K", spectrum.energy, spectrum.absorption)
    assert edge(spectrum.energy) == pytest.approx(spectrum.absorption, abs=1e-9)
    assert edge(7500.0) == pytest.approx(0, abs=1e-6)
    assert edge(12000.0) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        (np.linspace(8320, 8600, 100), "must cover at least 8308 to 8383 eV"),
        (np.linspace(8200, 8350, 100), "reaches from 8200 to 8350 eV"),
        (np.linspace(8.2, 8.6, 100), "reaches from 8.2 to 8.6 eV"),
        (np.full(100, 8333.0), "must ascend, each once"),
        (np.array([8200.0, np.nan, 8400.0, 8600.0]), "not finite"),
        (np.array([8200.0, 8600.0]), "at least 4"),
    ],
)
def test_a_spectrum_without_its_edge_is_refused(energy: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NearEdge("Ni", "K", energy, np.linspace(0, 1, energy.size))


def test_energies_outside_a_spectrum_are_refused_by_name() -> None:
    energy = np.linspace(8200, 8600, 100)
    edge = NearEdge("Ni", "K", energy, (energy > 8340).astype(float))
    edge.require_inside([8200.0, 8600.0])
    with pytest.raises(
        ValueError, match=r"energy 8700 eV is outside the spectrum at the Ni K edge, 8200 to 8600 eV; leave"
    ):
        edge.require_inside([8300.0, 8700.0])


def test_far_from_its_edge_a_species_absorbs_as_its_atoms_do() -> None:
    one = species("oxide")
    for energy in (7000.0, 8000.0, 8900.0, 12000.0):
        assert one.absorption(energy) == pytest.approx(float(tables.absorption("NiO", 6.67, energy)), rel=0.01)


def test_absorption_is_smooth_but_for_its_spectrum() -> None:
    """No step is left where the table has its own: the rest changes by less than 1e-4 of the jump per 0.01 eV."""
    one = species("oxide")
    fine = np.arange(8331.0, 8335.0, 0.01)
    rest = np.array([one.absorption(float(energy)) - one.vacancies(float(energy)) for energy in fine])
    assert np.abs(np.diff(rest)).max() < 1e-4 * one.vacancies(8500.0)


def test_two_species_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two species are named 'oxide'"):
        Sample((), (species("oxide"), species("oxide")))


def test_a_body_of_an_unknown_species_is_refused() -> None:
    body = Body(Ellipsoid((0, 0, 0), (1, 1, 1)), {"iron": 1.0}, {}, 0.0)
    with pytest.raises(ValueError, match=r"a body is made of 'iron'; species are oxide"):
        Sample((body,), (species("oxide"),))


def test_optical_density_is_the_sum_of_attenuation_times_thickness(microscope: FullFieldMicroscope) -> None:
    sample = microscope.sample
    grid = np.arange(-5, 5, 0.1).astype(np.float32)
    weights = sample.attenuations(8350.0)
    thickness = sample.thickness(grid, grid, 30.0)
    density = projected(sample.layers(weights, 30.0), grid, grid)
    assert density == pytest.approx(np.tensordot(weights, thickness, axes=1), abs=1e-5)
    assert (thickness >= -1e-6).all()
    assert thickness.max() > 0.5


def test_particles_do_not_overlap_and_leave_a_blank_strip(seed: int) -> None:
    sample = particles(
        (species("shell"), species("core")),
        count=12,
        field_um=10,
        radius_um=(0.6, 1.6),
        core_size=(0.4, 0.8),
        seed=seed,
    )
    grid = np.arange(-5, 5, 0.02).astype(np.float32)
    covered = np.zeros((grid.size, grid.size), int)
    for _, shadow in sample.shadows():
        covered += projected([(shadow, 1.0)], grid, grid) > 0
    assert all(body.shell["shell"] > body.core["shell"] for body in sample.bodies)
    assert all(0.4 <= body.core_size <= 0.8 for body in sample.bodies)
    assert covered.max() == 1
    assert not covered[:, grid < -5 + 0.15 * 10].any()


def test_the_same_seed_lays_out_the_same_sample(seed: int) -> None:
    def layout(number: int) -> Sample:
        pair = (species("shell"), species("core"))
        return particles(pair, count=5, field_um=10, radius_um=(0.5, 1.0), core_size=(0.4, 0.8), seed=number)

    assert layout(seed).bodies == layout(seed).bodies
    assert layout(seed).bodies != layout(seed + 1).bodies


@pytest.mark.parametrize(
    ("count", "names", "words"), [(500, ("a", "b"), "do not fit into 10 µm"), (3, ("a",), "at least two species")]
)
def test_a_layout_that_cannot_be(count: int, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        particles(
            [species(name) for name in names],
            count=count,
            field_um=10,
            radius_um=(1.0, 2.0),
            core_size=(0.4, 0.8),
            seed=1,
        )
