"""Glitches put into measured and made spectra are found, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from whiteline.analysis.spectra import deglitch, edge_absorption
from whiteline.analysis.spectrum_files import Spectrum, read_columns, read_xdi

ENERGY = np.unique(np.r_[np.arange(8150, 8320, 5), np.arange(8320, 8380, 0.5), np.arange(8380, 8700, 2)]).astype(float)
EDGE = 8342.0
SHAPE = {"b0": 0.3, "b1": -2e-4, "e0": EDGE, "jump": 1.0, "width": 2.0}
WHITE_LINE = {"white_line_height": 1.5, "white_line_position": 8350.0, "white_line_width": 1.5}


def made(rng: np.random.Generator, noise: float) -> np.ndarray:
    offset = np.maximum(ENERGY - EDGE, 0)
    ripple = 0.05 * np.sin(0.9 * np.sqrt(offset)) * np.exp(-offset / 400)
    return edge_absorption(ENERGY, SHAPE | WHITE_LINE, 1.44, 1.2) + ripple + noise * rng.standard_normal(ENERGY.size)


def spectra(folder: Path) -> list[Spectrum]:
    return [
        read_xdi(folder / "ni_k_foil.xdi"),
        read_xdi(folder / "fe_k_FeO.xdi"),
        read_columns(folder / "fe_k_Fe2O3.xmu", "eV"),
        read_columns(folder / "ni_k_NiO.txt", "keV"),
        read_columns(folder / "ni_k_LiNiO2.txt", "keV"),
    ]


def test_measured_spectra_without_glitches_are_left_as_they_are(measured: Path) -> None:
    for spectrum in spectra(measured):
        result = deglitch(spectrum.energy, spectrum.absorption)
        assert result.valid.all(), f"{spectrum.name} at {spectrum.energy[~result.valid]} eV"
        assert (result.absorption == spectrum.absorption).all()


def test_the_only_points_left_out_are_the_glitches_and_replaced_ones_lie_on_the_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = 1e-3
    clean = made(rng, noise)
    outside = np.flatnonzero((ENERGY < EDGE - 25) | (ENERGY > EDGE + 90))[8:-8]
    for _ in range(2):
        bad, glitched = [], clean.copy()
        for at in rng.choice(outside[::12], 3, replace=False):
            for index in range(at, at + rng.integers(1, 3)):
                bad.append(index)
                glitched[index] += rng.choice([-1, 1]) * rng.uniform(0.08, 0.5)
        left_out = deglitch(ENERGY, glitched, noise, edge=EDGE)
        assert set(bad) <= set(np.flatnonzero(~left_out.valid))
        assert np.count_nonzero(~left_out.valid) == len(bad)
        assert left_out.energy.size == ENERGY.size - len(bad)
        replaced = deglitch(ENERGY, glitched, noise, edge=EDGE, replace=True)
        assert (replaced.valid == left_out.valid).all()
        assert (replaced.absorption[replaced.valid] == clean[replaced.valid]).all()
        assert replaced.absorption[bad] == pytest.approx(clean[bad], abs=0.04)


def test_a_white_line_is_never_taken_for_a_glitch(seed: int) -> None:
    values = made(np.random.default_rng(seed), 1e-4)
    sharp = values + 3 * np.exp(-0.5 * ((ENERGY - 8349) / 0.4) ** 2)
    assert deglitch(ENERGY, sharp, edge=EDGE).valid[(ENERGY > EDGE - 20) & (ENERGY < EDGE + 60)].all()


def test_noise_alone_is_no_glitch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for noise in (1e-3, 0.02):
        assert deglitch(ENERGY, made(rng, noise), noise, edge=EDGE).valid.all()
