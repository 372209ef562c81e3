"""Maps of a fly raster grow line by line while it goes on, and come to what is found afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fly_runs import FlyRun
from flying import Flown
from scipy.interpolate import CubicSpline
from scipy.ndimage import convolve1d
from test_fly_runs import UNITS, line_of, md_of

from whiteline.analysis.live import LiveXanes, analyse
from whiteline.analysis.live.fly_lines import FlyLines
from whiteline.analysis.runs import open_run
from whiteline.analysis.spectrum_files import Spectrum


@pytest.fixture
def live() -> Iterator[Callable[..., LiveXanes]]:
    made: list[LiveXanes] = []

    def one(**options: object) -> LiveXanes:
        made.append(LiveXanes(**options))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for each in made:
        each.close()


def test_a_map_grows_line_by_line(live: Callable[..., LiveXanes], seed: int, tmp_path: Path) -> None:
    flown = Flown(seed, lines=10, pulses=40, lag_s=0.0, vibration_um=0.0005)
    run, watching = FlyRun(tmp_path, md_of(flown), UNITS, 40, detector="fluorescence"), live()
    documents, begun = list(run.begin()), 0

    def tell() -> None:
        for document in documents:
            watching(*document)
        documents.clear()

    for line in range(10):
        took = np.arange(40) != 11
        documents += run.fly(line_of(flown, line, begun + np.cumsum(took)))
        begun += 39
        tell()
        if line in (0, 5):
            found = watching.wait().map("capture_Ni_Ka")
            assert found.valid[: line + 1].mean() > 0.9
            assert not found.valid[line + 2 :].any()
    documents += run.end()
    tell()
    results = watching.wait()
    assert results.kind == "raster"
    assert results.over
    assert results.troubles[0].startswith("fluorescence missed 10 of 400 triggers: line 1 pulse 12, line 2 pulse 12")
    assert results.pixel_um == pytest.approx(0.02)
    found = results.map("capture_Ni_Ka")
    truth = flown.truth(0.02 * np.arange(10), 0.02 * np.arange(40), 0.02)
    pulls = (found.value / np.nanmedian(found.value / truth) - truth) / found.error * np.nanmedian(found.value / truth)
    assert np.nanstd(pulls) < 1.3
    np.testing.assert_allclose(np.nansum(results.map("coverage").value), 0.4, rtol=0.05)


def test_a_line_taken_again_replaces_the_first(live: Callable[..., LiveXanes], seed: int, tmp_path: Path) -> None:
    flown = Flown(seed, lines=6, pulses=40, lag_s=0.0, vibration_um=0.0005)
    run, watching = FlyRun(tmp_path, md_of(flown), UNITS, 40), live()
    documents = list(run.begin())
    for line in range(3):
        documents += run.fly(line_of(flown, line))
    spoilt = line_of(flown, 3) | {"Ni_Ka_counts": np.full(40, 1e6)}
    documents += run.fly(spoilt)
    for document in documents:
        watching(*document)
    assert np.nanmax(watching.wait().map("capture_Ni_Ka").value) > 1e5
    run.line -= 1  # the next line has its number
    later = [*run.fly(line_of(flown, 3)), *run.fly(line_of(flown, 4)), *run.end()]
    for document in later:
        watching(*document)
    results = watching.wait()
    assert np.nanmax(results.map("capture_Ni_Ka").value) < 1e4
    batch = analyse(documents + later)
    for name in ("capture_Ni_Ka", "capture_transmitted", "coverage"):
        np.testing.assert_allclose(results.map(name).value, batch.map(name).value)
        np.testing.assert_allclose(results.map(name).error, batch.map(name).error)


def test_fractions_of_a_stack_of_fly_maps(seed: int, tmp_path: Path) -> None:
    energy = np.arange(8200.0, 8500.0, 0.5)
    offsets = (energy - 8333)[:, None] - np.array([0.0, 2.0])
    shapes = 0.5 + np.arctan(offsets / 1.5) / np.pi + np.array([1.2, 0.7]) / (1 + ((offsets - 14) / 4.5) ** 2)
    references = [Spectrum(name, energy, shapes[:, at]) for at, name in enumerate(("NiO", "LiNiO2"))]
    energies = np.array([8250.0, 8300, 8320, 8336, 8341, 8345, 8349, 8353, 8360, 8380, 8420, 8480])
    spectra = [CubicSpline(one.energy, one.absorption)(energies) for one in references]
    flown = Flown(seed, lines=8, pulses=24, lag_s=0.0, vibration_um=0.0005)
    md = md_of(
        flown, shape=[12, 8, 24], extents=[[8250.0, 8480.0], *md_of(flown)["extents"]], snaking=[False, False, True]
    )
    run = FlyRun(tmp_path, md | {"energies": list(energies)}, UNITS, 24)
    documents = list(run.begin())
    for number in range(12):
        documents += run.energy(energies[number])
        for line in range(8):
            fraction = flown.true_x[line] / 0.5  # of LiNiO2, from one side to the other
            counts = 4000 * ((1 - fraction) * spectra[0][number] + fraction * spectra[1][number]) + 500
            columns = line_of(flown, line, row=8 * number + line)
            documents += run.fly(columns | {"Ni_Ka_counts": flown.source.poisson(counts * flown.beam[line] / 2000)})
    documents += run.end()
    results = analyse(documents, references=references, signal="capture_Ni_Ka")
    found = results.map("fraction of LiNiO2")
    truth = np.broadcast_to(0.02 * np.arange(24) / 0.5, (8, 24))
    assert found.valid.mean() > 0.95
    pulls = ((found.value - truth) / found.error)[found.valid]
    assert abs(pulls.mean()) < 0.35
    assert 0.8 < pulls.std() < 1.25
    np.testing.assert_allclose(results.energies, energies)
    planes = results.planes
    assert planes is not None
    np.testing.assert_array_equal(planes.energies, results.energies)
    np.testing.assert_array_equal(planes.value[-1], results.map("capture_Ni_Ka").value.astype(np.float32))


def test_a_map_is_divided_by_the_beam_as_two_chambers_know_it(seed: int, tmp_path: Path) -> None:
    flown = Flown(seed, lines=12, pulses=48, lag_s=0.0, vibration_um=0.0, noise_um=0.0)
    run = FlyRun(tmp_path, md_of(flown), UNITS, 48)
    documents = list(run.begin())
    for line in range(12):
        thin = 300.0 * (1 + 0.03 * flown.source.standard_normal(48))  # of a beam that does not flicker
        good = 2e4 * (1 + 0.002 * flown.source.standard_normal(48))
        documents += run.fly(
            line_of(flown, line)
            | {"incident_counts": thin, "transmitted_counts": good, "Ni_Ka_counts": np.full(48, 1e6)}
        )
    documents += run.end()
    found = analyse(documents).map("capture_Ni_Ka")
    relative = found.value[found.valid] / found.value[found.valid].mean() - 1
    assert relative.std() < 0.01  # pulse by pulse it would be 0.03
    assert relative.std() == pytest.approx(np.median(found.error[found.valid] / found.value[found.valid]), rel=0.35)


def test_errors_of_a_map_that_was_brought_back_hold_how_well_its_shift_is_known(seed: int, tmp_path: Path) -> None:
    flown = Flown(seed, lines=12, pulses=48, lag_s=0.0, vibration_um=0.0, noise_um=0.0)
    extents = [[8300.0, 8400.0], *md_of(flown)["extents"]]
    md = md_of(flown, shape=[2, 12, 48], extents=extents, snaking=[False, False, True])
    run = FlyRun(tmp_path, md | {"energies": [8300.0, 8400.0]}, UNITS, 48)
    documents = list(run.begin())
    for number, energy in enumerate((8300.0, 8400.0)):
        documents += run.energy(energy)
        for line in range(12):
            documents += run.fly(line_of(flown, line, row=12 * number + line))
    documents += run.end()
    opened, unsure, lines = open_run(documents), (0.3, 0.1), FlyLines()
    value, before = (one[1] for one in lines.follow(opened).lines["capture_Ni_Ka"])  # of the second map
    lines.bring_back(1, (0.0, 0.0), unsure, (2, 12, 48))
    _, after = (one[1] for one in lines.follow(opened).lines["capture_Ni_Ka"])
    inner = (slice(2, -2), slice(2, -2))
    slopes = [convolve1d(value, [-1 / 12, 8 / 12, 0, -8 / 12, 1 / 12], axis=axis)[inner] for axis in (0, 1)]
    added = sum((error * slope) ** 2 for error, slope in zip(unsure, slopes, strict=True))
    np.testing.assert_allclose((after - before)[inner], added, rtol=0.05, atol=0.02 * before[inner].mean())
    assert added.mean() > 0.1 * before[inner].mean()
