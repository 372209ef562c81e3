#!/usr/bin/env python3
"""What larch makes of measured spectra: E0, edge step, normalised and flattened spectrum, and the ranges it chose.

Prints one line of JSON by the name of each file, with the first and the last energy that larch fits of each range: it
rounds the ends to points, and leaves the last out. The spectra go into an .npz, as norm_N, flat_N, mu_N and energy_N
for the N-th file. Files are XDI, or columns of energy and absorption in eV; those of a .txt are in keV.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from larch import Group
from larch.io import read_ascii, read_xdi
from larch.math import index_nearest, index_of
from larch.xafs import find_e0, pre_edge

RANGES = ("pre1", "pre2", "norm1", "norm2", "nnorm")


def read(path: Path) -> Group:
    """Read a spectrum by larch's own readers."""
    if path.suffix == ".xdi":
        file = read_xdi(str(path))
        return Group(energy=file.energy, mu=file.mutrans)
    columns = read_ascii(str(path)).data
    return Group(energy=columns[0] * (1000.0 if path.suffix == ".txt" else 1.0), mu=columns[1])


def points(energy: np.ndarray, low: float, high: float) -> list[float]:
    """First and last energy of a range, as larch's `preedge` chooses its points."""
    chosen = energy[index_of(energy, low) : index_nearest(energy, high)]
    return [float(chosen[0]), float(chosen[-1])]


def main() -> None:
    """Read, normalise, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="XDI, .xmu or .txt")
    parser.add_argument("--out", type=Path, required=True, help="where the spectra go, .npz")
    options = parser.parse_args()

    figures, arrays = {}, {}
    for number, path in enumerate(options.files):
        group = read(path)
        find_e0(group)
        pre_edge(group)
        ranges = {name: float(getattr(group.pre_edge_details, name)) for name in RANGES}
        figures[path.name] = {
            "e0": float(group.e0),
            "edge_step": float(group.edge_step),
            "pre_edge_points": points(group.energy, group.e0 + ranges["pre1"], group.e0 + ranges["pre2"]),
            "post_edge_points": points(group.energy, group.e0 + ranges["norm1"], group.e0 + ranges["norm2"]),
            **ranges,
        }
        arrays |= {f"energy_{number}": group.energy, f"norm_{number}": group.norm, f"flat_{number}": group.flat}
        arrays |= {f"mu_{number}": group.mu}
    np.savez(options.out, **arrays)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
