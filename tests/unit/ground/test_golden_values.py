"""The golden values that devices, plans, twin and analysis are held to, each to the digits in which it is given."""

import numpy as np
import pytest

from whiteline.analysis import constants, deadtime, dose, tables
from whiteline.analysis.calibration import fit_energy
from whiteline.analysis.laws import bragg, full_field, motion, scanning
from whiteline.analysis.laws.undulator import Undulator
from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.beamline.description import load
from whiteline.sim.species import EdgeModel

SI111 = bragg.d_spacing((1, 1, 1))
UNDULATOR = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 4.2, 30.0)
TXM_LENS = ZonePlate(244, 30)
NANO_LENS = ZonePlate(240, 60)


def digits(value: float) -> float:
    """Half of the last digit that a value is written with."""
    text = repr(value)
    return 0.5 * 10.0 ** -len(text.split(".")[1]) if "." in text else 0.5


def same(found: float, golden: float) -> bool:
    return abs(found - golden) <= digits(golden) * (1 + 1e-9)


def test_hc_and_the_silicon_lattice() -> None:
    assert same(constants.HC_EV_ANGSTROM, 12398.419843320)
    assert same(constants.SI_LATTICE_ANGSTROM, 5.431020511)


@pytest.mark.parametrize(("reflection", "twice"), [((1, 1, 1), 6.271202), ((2, 2, 0), 3.840311), ((3, 1, 1), 3.275029)])
def test_spacing_of_reflections(reflection: tuple[int, int, int], twice: float) -> None:
    assert same(2 * bragg.d_spacing(reflection), twice)
    if reflection == (1, 1, 1):
        assert same(bragg.d_spacing(reflection), 3.135601)


@pytest.mark.parametrize(
    ("element", "energy"),
    [
        ("Ti", 4966), ("V", 5465), ("Cr", 5989), ("Mn", 6539), ("Fe", 7112), ("Co", 7709), ("Ni", 8333), ("Cu", 8979),
        ("Zn", 9659), ("Ga", 10367), ("Br", 13474), ("In", 27940),
    ],
)  # fmt: skip
def test_k_edges(element: str, energy: float) -> None:
    assert same(tables.edge_energy(element), energy)


@pytest.mark.parametrize(("element", "energy"), [("Pb", 13035), ("W", 10207), ("Pt", 11564)])
def test_l3_edges(element: str, energy: float) -> None:
    assert same(tables.edge_energy(element, "L3"), energy)


@pytest.mark.parametrize(("element", "width"), [("Mn", 1.16), ("Fe", 1.25), ("Co", 1.33), ("Ni", 1.44), ("Cu", 1.55)])
def test_core_hole_widths(element: str, width: float) -> None:
    assert same(tables.core_hole_width(element), width)


@pytest.mark.parametrize(
    ("energy", "angle"),
    [
        (5000, 23.2914), (7112, 16.1401), (8333, 13.7245), (8979, 12.7199), (13600, 8.3587), (15000, 7.5738),
        (17000, 6.6784), (29600, 3.8297),
    ],
)  # fmt: skip
def test_bragg_angles_of_si_111(energy: float, angle: float) -> None:
    assert same(bragg.bragg_angle(float(energy), SI111), angle)


@pytest.mark.parametrize(("energy", "change"), [(8333, 0.0341), (13600, 0.0926), (7112, 0.0246)])
def test_energy_per_microradian(energy: float, change: float) -> None:
    assert same(bragg.dispersion(float(energy), SI111), change)


def test_one_microradian_at_the_nickel_edge_is_34_meV() -> None:
    assert same(bragg.dispersion(8333.0, SI111), 0.034)


def test_fixed_exit() -> None:
    gap = bragg.crystal_gap(8333.0, SI111, 25.0)
    assert same(gap, 12.8674)
    assert same(1e6 * (bragg.crystal_gap(8334.0, SI111, 25.0) - gap), -92)


def test_offset_and_spacing_are_almost_one_parameter() -> None:
    edges = np.array([tables.edge_energy(element) for element in ("Fe", "Co", "Ni", "Cu")])
    readings = bragg.bragg_angle(edges, SI111) - 0.01
    fit = fit_energy(
        edges, readings, np.full(edges.shape, 1e-4), spacing=SI111, version=1, date="2026-01-01", source="test"
    )
    (spacing, shared), (_, offset) = fit.covariance
    # −0.9957 for these four foils, −0.9970 for Co and Cu, −0.9976 without Cu: the value goes with the foils
    assert shared / np.sqrt(spacing * offset) == pytest.approx(-0.997, abs=0.0015)


@pytest.mark.parametrize(
    ("energy", "reflection", "width"),
    [(7112, (1, 1, 1), 1.02), (8333, (1, 1, 1), 1.19), (8979, (1, 1, 1), 1.28), (8333, (3, 1, 1), 0.25)],
)
def test_darwin_widths(energy: float, reflection: tuple[int, int, int], width: float) -> None:
    assert same(tables.darwin_width(float(energy), "Si", reflection), width)


def test_resolution_adds_both_parts_in_quadrature() -> None:
    intrinsic = tables.darwin_width(8333.0) / 8333
    width = bragg.energy_resolution(8333.0, SI111, intrinsic, 10.0)
    assert width == pytest.approx(np.hypot(1.187, 10 * 0.03412), abs=2e-3)


@pytest.mark.parametrize(("energy", "k", "gap"), [(7112, 2.002, 4.47), (8333, 1.769, 5.01), (8979, 1.661, 5.29)])
def test_undulator_on_the_fifth_harmonic(energy: float, k: float, gap: float) -> None:
    assert same(UNDULATOR.deflection(float(energy), 5), k)
    assert same(UNDULATOR.gap(float(energy), 5), gap)


@pytest.mark.parametrize(("energy", "gap"), [(8200, 4.95), (8333, 5.01), (5000, 3.44)])
def test_gaps_on_the_fifth_harmonic(energy: float, gap: float) -> None:
    free = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 0.0, 100.0)
    assert same(free.gap(float(energy), 5), gap)


def test_width_of_a_harmonic() -> None:
    assert same(UNDULATOR.harmonic_width(8333.0, 5), 12)


def test_a_minimum_gap_of_5_mm_would_break_the_nickel_scan_and_4_2_mm_does_not() -> None:
    tight = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 5.0, 30.0)
    assert 5 in tight.harmonics([8400.0])
    assert 5 not in tight.harmonics([8200.0, 8400.0])
    assert UNDULATOR.choose_harmonic([8200.0, 8600.0]) == 5


def test_zone_plate_of_the_full_field_microscope() -> None:
    assert same(TXM_LENS.focal_length(8333.0), 49.198)
    assert same(TXM_LENS.focal_length(8000.0), 47.232)
    assert same(1e3 * TXM_LENS.chromaticity, 5.904)
    assert same(TXM_LENS.zones, 2033)
    assert same(TXM_LENS.rayleigh_resolution_nm, 36.6)


@pytest.mark.parametrize(("energy", "depth"), [(8000, 23.23), (8333, 24.20), (7112, 20.65)])
def test_depth_of_focus(energy: float, depth: float) -> None:
    assert same(TXM_LENS.depth_of_focus(float(energy)), depth)
    wavelength_um = 1e-4 * constants.HC_EV_ANGSTROM / energy
    assert wavelength_um / TXM_LENS.numerical_aperture(float(energy)) ** 2 == pytest.approx(depth, abs=0.005)


def test_energy_range_in_focus() -> None:
    assert same(TXM_LENS.focus_energy_range(8333.0), 2.05)


@pytest.mark.parametrize(
    ("energy", "f", "p", "length"),
    [
        (5000, 29.520, 30.428, 1019.3),
        (8000, 47.232, 48.685, 1631.0),
        (10000, 59.040, 60.856, 2038.7),
        (12000, 70.848, 73.028, 2446.4),
    ],
)
def test_full_field_distances(energy: float, f: float, p: float, length: float) -> None:
    focal_length = TXM_LENS.focal_length(float(energy))
    detector = full_field.detector_distance(focal_length, 32.5)
    zone_plate = full_field.zone_plate_distance(focal_length, detector)
    assert same(focal_length, f)
    assert same(zone_plate, p)
    assert same(detector, length)
    assert full_field.magnification(zone_plate, detector) == pytest.approx(32.5, rel=1e-12)


def test_travel_of_the_detector_over_a_scan() -> None:
    lengths = full_field.detector_distance(TXM_LENS.focal_length(np.array([8200.0, 8600.0])), 32.5)
    assert same(lengths[1] - lengths[0], 81.5)
    assert same(1e3 * (lengths[1] - lengths[0]) / 400, 204)


def test_what_moves_the_detector_in_depths_of_focus() -> None:
    step = 0.05 * TXM_LENS.depth_of_focus(8333.0) * 32.5**2 / 1e3
    image_distance = 33.5 * TXM_LENS.focal_length(8333.0)
    assert same(step, 1.28)
    assert same(1e4 * step / image_distance, 7.8)
    assert same(1e-4 * image_distance, 0.16)


def test_pixel_at_the_sample() -> None:
    assert same(full_field.pixel_at_sample(6.5, 10.0, 32.5), 20.0)


def test_the_constant_magnification_formula_with_a_detector_that_stands_still_loses_focus() -> None:
    energies = np.linspace(8300.0, 8430.0, 131)
    focal_lengths = TXM_LENS.focal_length(energies)
    detector = full_field.detector_distance(TXM_LENS.focal_length(8300.0), 32.5)
    wrong = focal_lengths * 33.5 / 32.5
    lost = full_field.defocus(wrong, np.full(131, detector), focal_lengths)
    assert same(1e3 * np.ptp(lost), 25.5)
    assert 1e3 * np.ptp(lost) > TXM_LENS.depth_of_focus(8365.0)

    right = full_field.zone_plate_distance(focal_lengths, np.full(131, detector))
    assert np.abs(full_field.defocus(right, np.full(131, detector), focal_lengths)).max() < 1e-9
    scale = full_field.magnification(right, np.full(131, detector))
    assert same(100 * (scale[-1] / scale[0] - 1), -1.64)
    assert same(1024 * (1 - scale[-1] / scale[0]), 16.8)


def test_one_electronvolt_is_a_quarter_of_the_depth_of_focus() -> None:
    focal_length = TXM_LENS.focal_length(8333.0)
    detector = full_field.detector_distance(focal_length, 32.5)
    zone_plate = full_field.zone_plate_distance(focal_length, detector)
    off = abs(full_field.defocus(zone_plate, detector, TXM_LENS.focal_length(8334.0)))
    # 5.9 µm in the focal length is (p/f)² times as much at the sample: 6.27 µm, which the sheet rounds to 6.1
    assert same(1e3 * TXM_LENS.chromaticity, 5.9)
    assert 1e3 * off == pytest.approx(6.1, abs=0.2)
    assert 1e3 * off / TXM_LENS.depth_of_focus(8333.0) == pytest.approx(0.25, abs=0.02)
    assert 0.05 * TXM_LENS.depth_of_focus(8333.0) / (1e3 * off) == pytest.approx(0.20, abs=0.01)


def test_zone_plate_of_the_nanoprobe() -> None:
    assert same(1e3 * NANO_LENS.chromaticity, 11.614)
    assert scanning.zone_plate_reading(8333.0, 0.0, NANO_LENS.chromaticity) == pytest.approx(-96.78, abs=0.01)


def test_order_sorting_aperture_of_the_nanoprobe() -> None:
    aperture = scanning.OrderSortingAperture(60, 90, 240, 0.5)
    assert same(aperture.beam_um(10.0, NANO_LENS.focal_length(8333.0)), 24.8)


def test_blur() -> None:
    assert same(TXM_LENS.in_focus_blur(), 13.1)
    half_depth_mm = 1e-3 * TXM_LENS.depth_of_focus(8333.0) / 2
    assert TXM_LENS.defocus_blur(half_depth_mm, 8333.0) == pytest.approx(30 / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("formula", "density", "edge", "two_lengths"),
    [("NiO", 6.67, "Ni", 11.7), ("LiNi0.8Mn0.1Co0.1O2", 4.75, "Ni", 22.0), ("LiFePO4", 3.6, "Fe", 32.9)],
)
def test_two_absorption_lengths_above_the_edge(formula: str, density: float, edge: str, two_lengths: float) -> None:
    above = tables.edge_energy(edge) + 30
    assert 2 / float(tables.absorption(formula, density, above)) == pytest.approx(two_lengths, rel=0.005)


@pytest.mark.parametrize(("counts", "ratio"), [(1e4, 100), (1e5, 316)])
def test_signal_to_noise_of_counts(counts: float, ratio: float) -> None:
    assert same(counts / np.sqrt(counts), ratio)


def test_bound_on_a_white_line() -> None:
    """By Fisher's information of the edge model; the sheet leaves list, background and edge jump open."""
    energies = np.arange(8320.0, 8372.0)
    assert energies.size == 52

    def density(parameters: np.ndarray) -> np.ndarray:
        level, slope, jump, height, place, width = parameters
        edge = EdgeModel(8343.0, (height, place, width)).absorption(energies, 1.44)
        return np.asarray(level + slope * (energies - 8333) / 100 + jump * edge)

    best = np.array([0.3, 0.0, 0.7, 0.9, 8350.0, 3.0])
    step = 1e-4 * np.eye(6)
    gradient = np.stack([(density(best + one) - density(best - one)) / 2e-4 for one in step], axis=1)
    for incident, golden in ((1e4, 0.064), (3e4, 0.037), (1e5, 0.020)):
        weight = incident * np.exp(-density(best))
        bound = np.sqrt(np.linalg.inv(gradient.T @ (gradient * weight[:, None]))[4, 4])
        assert bound == pytest.approx(golden, rel=0.08)


@pytest.mark.parametrize(
    ("element", "window"),
    [("Ni", (8341, 8360)), ("Co", (7715, 7740)), ("Fe", (7115, 7140)), ("Cu", (8970, 9010))],
)
def test_white_line_windows(element: str, window: tuple[float, float]) -> None:
    assert tables.WHITE_LINE_WINDOWS_EV[element, "K"] == window


@pytest.mark.parametrize(
    ("element", "edge", "name", "energy", "branching"),
    [
        ("Ni", "K", "Ka1", 7480.3, 0.578), ("Ni", "K", "Ka2", 7463.0, 0.294), ("Ni", "K", "Kb1", 8266.8, 0.083),
        ("Fe", "K", "Ka1", 6405.2, None), ("Fe", "K", "Ka2", 6392.1, None),
        ("Mn", "K", "Ka1", 5900.3, None), ("Mn", "K", "Ka2", 5889.1, None),
        ("Br", "K", "Ka1", 11924.0, None), ("Br", "K", "Ka2", 11878.0, None),
        ("In", "K", "Ka1", 24210.0, None), ("In", "K", "Ka2", 24002.0, None),
        ("Pb", "L3", "La1", 10551.0, None),
    ],
)  # fmt: skip
def test_fluorescence_lines(element: str, edge: str, name: str, energy: float, branching: float | None) -> None:
    (line,) = (line for line in tables.lines(element, edge) if line.name == name)
    assert same(line.energy, energy)
    assert branching is None or same(line.branching, branching)


def test_yield_and_jump_of_nickel() -> None:
    """Krause (1979) gives 0.414 for the yield; the jump is that of the cross sections themselves across the edge."""
    assert tables.fluorescence_yield("Ni") == pytest.approx(0.41, abs=0.005)
    below, above = tables.mass_absorption("Ni", np.array([8331.0, 8335.0]))
    assert tables.jump_ratio("Ni") == pytest.approx(above / below, rel=0.06)


def test_a_line_below_its_edge_is_refused_and_the_edge_named() -> None:
    with pytest.raises(ValueError, match=r"energy 8300 eV cannot excite Ni Ka1: its K edge is at 8333 eV"):
        tables.excitable_line("Ni", "Ka", 8300.0)
    assert tables.excitable_line("Ni", "Ka", 8400.0).name == "Ka1"


@pytest.mark.parametrize(("busy", "low"), [(0.3, 4), (0.5, 12.6), (0.7, 24)])
def test_the_series_for_dead_time_is_low_and_the_exact_inverse_is_not(busy: float, low: float) -> None:
    tau = 0.25e-6
    counted = deadtime.counted_rate(busy / tau, tau)
    series = counted * (1 + counted * tau + 1.5 * (counted * tau) ** 2)
    assert same(100 * (1 - series * tau / busy), low)
    assert deadtime.true_rate(counted, tau) == pytest.approx(busy / tau, rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "energy", "gray"),
    [("LiNi0.8Mn0.1Co0.1O2", 8360, 2.6e4), ("LiFePO4", 7130, 2.0e4), ("H2O", 8360, 1.2e3)],
)
def test_dose_of_a_million_photons_per_square_micrometre(formula: str, energy: float, gray: float) -> None:
    assert dose.dose(1e6, energy, formula).gray == pytest.approx(gray, rel=0.035)


def test_dose_of_a_stack() -> None:
    energies, formula = np.full(60, 8360.0), "LiNi0.8Mn0.1Co0.1O2"
    transmitted = dose.fluence_of_counts(1e4, 20.0, 0.1 * 0.5, np.exp(-1))
    incident = dose.fluence_of_counts(1e4, 20.0, 0.1 * 0.5)
    assert dose.dose(np.full(60, transmitted), energies, formula).gray == pytest.approx(2.1e9, rel=0.025)
    assert dose.dose(np.full(60, incident), energies, formula).gray == pytest.approx(7.8e8, rel=0.025)


def test_time_of_a_stack_from_the_figures_of_the_description() -> None:
    txm = load("txm")
    assert txm.camera is not None
    assert txm.detector is not None
    lengths = full_field.detector_distance(TXM_LENS.focal_length(np.array([8333.0, 8340.0])), 32.5)
    stage = txm.detector.z
    move = motion.move_duration(float(np.diff(lengths)[0]), stage.velocity, stage.acceleration_s)
    assert same(round(move, 1), 0.6)
    coarse = txm.sample.coarse.x
    out_and_in = 2 * motion.move_duration(txm.sample.out_mm, coarse.velocity, coarse.acceleration_s)
    assert same(out_and_in, 2.4)
    each = move + 0.2 + 5 * 0.2 + 0.2 + out_and_in + 6 * txm.camera.readout_s
    assert each == pytest.approx(4.6, abs=0.1)
    assert 61 * each / 60 == pytest.approx(4.7, rel=0.03)  # both figures are round ones
