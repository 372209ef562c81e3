#!/usr/bin/env python3
"""Mantis on a made XANES stack: spectra per second, and the error of the fraction.

What is timed is `calc_svd_maps` of Mantis, its least-squares fit of target spectra to the optical density, with the
two references and its flat spectrum as constant background; a line comes with it if that is wanted. Optical density is
Mantis' own too, and is not timed.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np
from bench_stack import read, rms

with contextlib.redirect_stdout(sys.stderr):  # Mantis prints which of its file plugins it found
    import mantis_xray
    from mantis_xray.analysis.analyze import analyze
    from mantis_xray.analysis.data_stack import data
    from mantis_xray.analysis.data_struct import h5


def main() -> None:
    """Fit, write the maps, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, help="stack.h5")
    parser.add_argument("truth", type=Path, help="truth.npz")
    parser.add_argument("out", type=Path, help="where weights and fraction go, .npz")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--background", choices=("constant", "linear"), default="constant")
    options = parser.parse_args()

    given = read(options.stack, options.truth)
    stack = data(h5())
    stack.absdata = np.ascontiguousarray(np.moveaxis(given.transmission, 0, 2))  # Mantis has energy last
    stack.n_cols, stack.n_rows, stack.n_ev = stack.absdata.shape
    stack.ev = given.energy.copy()
    stack.evi0, stack.i0data = given.energy.copy(), np.ones_like(given.energy)
    stack.data_dwell = stack.i0_dwell = None
    stack.stack4D = None
    stack.calculate_optical_density()

    analysis = analyze(stack)
    analysis.target_spectra = np.vstack([analysis.remap_spectrum(stack.ev, one) for one in given.references.T])
    if options.background == "linear":
        line = analysis.remap_spectrum(stack.ev, (stack.ev - stack.ev.mean()) / np.ptp(stack.ev))
        analysis.target_spectra = np.vstack([analysis.target_spectra, line])
    analysis.n_target_spectra = len(analysis.target_spectra)
    analysis.tspectrum_loaded = 1
    analysis.read_target_spectrum(flat=True)

    times = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        analysis.calc_svd_maps()
        times.append(time.perf_counter() - start)
    weights = analysis.target_svd_maps
    fraction = weights[..., 1] / (weights[..., 0] + weights[..., 1])
    np.savez(options.out, weights=np.moveaxis(weights, 2, 0), fraction=fraction, seconds=times)
    figures = {
        "peer": f"mantis-xray {mantis_xray.__version__}",
        "spectra": fraction.size,
        "seconds": float(np.median(times)),
        "mspectra_per_s_best": fraction.size / min(times) / 1e6,
        "mspectra_per_s": fraction.size / float(np.median(times)) / 1e6,
        "rms": rms(fraction, given.fraction),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
