"""Stacks of known composition, made from model spectra by counting photons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.spectrum_files import Spectrum, read_columns, read_xdi

Floats = NDArray[np.float64]
Extra = Callable[[Floats, Floats], Floats]


def model_spectrum(name: str, edge: float, white_line: float, *, start: float = 8100, stop: float = 8900) -> Spectrum:
    """Arctangent and Lorentzian, of the width of a Ni K edge."""
    energy = np.arange(start, stop, 0.25)
    step = 0.5 + np.arctan((energy - edge) / 1.1) / np.pi
    return Spectrum(name, energy, step + 0.7 / (1 + ((energy - white_line) / 2.3) ** 2))


MODELS = (
    model_spectrum("Ni2+", 8340.5, 8347.7),
    model_spectrum("Ni3+", 8342.3, 8350.0),
    model_spectrum("Ni", 8333.0, 8336.0),
)
ENERGIES = np.concatenate([np.arange(8200, 8321, 20), np.arange(8326, 8362, 1.0), np.arange(8365, 8601, 15)])
CENTRE = 8350.0


@dataclass(frozen=True, eq=False)
class Made:
    """A stack with its truth; `amounts` are those of each reference, (R, Y, X)."""

    basis: Basis
    density: NDArray[np.float32]
    variance: NDArray[np.float32]
    amounts: Floats
    clean: Floats
    raw: NDArray[np.uint16]
    flat: Floats

    @property
    def fraction(self) -> Floats:
        """True fractions."""
        result: Floats = self.amounts / self.amounts.sum(axis=0)
        return result


MakeStack = Callable[..., Made]


@pytest.fixture
def make_stack() -> MakeStack:
    """A function that makes a stack; see `made`."""
    return made


@pytest.fixture
def models() -> tuple[Spectrum, ...]:
    """The three model spectra: 2+, 3+ and metal."""
    return MODELS


@pytest.fixture
def energies() -> Floats:
    """Energies over the Ni K edge [eV]."""
    return ENERGIES.copy()


@pytest.fixture
def measured_nickel(measured: Path) -> tuple[Spectrum, ...]:
    """NiO, LiNiO2 and the foil as they were measured, normalised."""
    oxides = [read_columns(measured / f"ni_k_{name}.txt", "keV") for name in ("NiO", "LiNiO2")]
    return *oxides, normalised(read_xdi(measured / "ni_k_foil.xdi"), 8333.0)


@pytest.fixture
def measured_iron(measured: Path) -> tuple[Spectrum, ...]:
    """FeO and Fe2O3 as they were measured, normalised."""
    spectra = read_xdi(measured / "fe_k_FeO.xdi"), read_columns(measured / "fe_k_Fe2O3.xmu", "eV")
    return tuple(normalised(one, 7112.0) for one in spectra)


def normalised(spectrum: Spectrum, edge: float) -> Spectrum:
    """A line before the edge taken off, the mean from 80 to 250 eV beyond it set to 1."""
    energy, absorption = spectrum.energy, spectrum.absorption
    before, beyond = (energy > edge - 150) & (energy < edge - 30), (energy > edge + 80) & (energy < edge + 250)
    rest = absorption - np.polyval(np.polyfit(energy[before], absorption[before], 1), energy)
    return Spectrum(spectrum.name, energy, rest / rest[beyond].mean())


def made(
    seed: int,
    *,
    shape: tuple[int, int] = (48, 48),
    energies: ArrayLike = ENERGIES,
    references: Sequence[Spectrum] = MODELS[:2],
    counts: float = 20_000,
    flats: int = 10,
    amounts: Floats | None = None,
    low: float = 0.4,
    high: float = 1.2,
    shift: float = 0.0,
    extra: Extra | None = None,
) -> Made:
    """Count photons behind and beside a sample of references on a straight background.

    `amounts` (R, Y, X) are random if they are not given; `extra` changes the clean density, given the amounts.
    """
    source = np.random.default_rng(seed)
    energy = np.asarray(energies, float)
    basis = Basis.from_spectra(references, energy)
    if amounts is None:
        shares = source.dirichlet(np.ones(len(references)), shape)
        amounts = np.moveaxis(shares, -1, 0) * source.uniform(low, high, shape)
    true = basis if shift == 0 else basis.shifted(shift)
    background = source.uniform(0.1, 0.3, shape) * (1 - (energy - CENTRE)[:, None, None] / 3000)
    clean = np.tensordot(true.matrix[:, : len(references)], amounts, 1) + background
    if extra is not None:
        clean = extra(clean, amounts)
    raw = source.poisson(counts * np.exp(-clean))
    flat = source.poisson(counts * flats, clean.shape) / flats
    seen = np.maximum(raw, 1)
    density = np.log(flat / seen).astype(np.float32)
    variance = (1 / seen + 1 / (flats * flat)).astype(np.float32)
    return Made(basis, density, variance, amounts, clean, raw.astype(np.uint16), flat)
