#!/usr/bin/env python3
"""Larch on pixels of a made XANES stack: spectra per second, and the error of the fraction.

Each spectrum is normalised by `pre_edge` and fitted by `lincombo_fit` of larch, not constrained. The fit alone
is timed, and the two together. Pixels are drawn evenly over the map; a whole map would take minutes.
"""

import argparse
import json
import time
from pathlib import Path

import larch
import numpy as np
from bench_stack import read, rms
from larch import Group
from larch.math.lincombo_fitting import lincombo_fit
from larch.xafs import pre_edge

EDGE_EV = 8333.0


def main() -> None:
    """Fit, write the fractions, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, help="stack.h5")
    parser.add_argument("truth", type=Path, help="truth.npz")
    parser.add_argument("out", type=Path, help="where pixels and fraction go, .npz")
    parser.add_argument("--pixels", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    given = read(options.stack, options.truth)
    truth = given.fraction.ravel()
    pixels = np.unique(np.linspace(0, truth.size - 1, options.pixels).astype(int))
    density = -np.log(given.transmission.reshape(len(given.energy), -1)[:, pixels]).T.copy()
    references = [
        Group(energy=given.energy, norm=one, filename=name)
        for name, one in zip(("first", "second"), given.references.T, strict=True)
    ]

    spectra, normalising = [], []
    for one in density:
        start = time.perf_counter()
        group = Group(energy=given.energy, mu=one)
        pre_edge(group, e0=EDGE_EV)
        normalising.append(time.perf_counter() - start)
        spectra.append(group)
    times = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        fits = [lincombo_fit(group, references, sum_to_one=False) for group in spectra]
        times.append(time.perf_counter() - start)
    weights = np.array([[fit.weights["first"], fit.weights["second"]] for fit in fits])
    fraction = weights[:, 1] / weights.sum(axis=1)
    np.savez(options.out, pixels=pixels, weights=weights, fraction=fraction, seconds=times)
    fitting = float(np.median(times))
    figures = {
        "peer": f"xraylarch {larch.__version__}",
        "spectra": len(pixels),
        "seconds": fitting,
        "mspectra_per_s": len(pixels) / fitting / 1e6,
        "mspectra_per_s_with_normalising": len(pixels) / (fitting + sum(normalising)) / 1e6,
        "rms": rms(fraction, truth[pixels]),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
