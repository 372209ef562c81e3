#!/usr/bin/env python3
"""What Mantis reads of an NXstxm file, and what its least-squares fit makes of it; one line of JSON and an .npz."""

import contextlib
import json
import sys

import numpy as np

with contextlib.redirect_stdout(sys.stderr):  # Mantis prints which of its file plugins it found
    from mantis_xray import file_plugins
    from mantis_xray.analysis.analyze import analyze
    from mantis_xray.analysis.data_stack import data
    from mantis_xray.analysis.data_struct import h5


def main(path: str, out: str, references: str = "", channel: str = "0") -> None:
    """Read, fit if there are references (rows: energies, then one species each), and tell."""
    with contextlib.redirect_stdout(sys.stderr):
        structure = file_plugins.GetFileStructure(path)
        stack = data(h5())
        file_plugins.load(path, stack, selection=[(0, int(channel), 0)])
        arrays = {"data": stack.absdata, "energy": stack.ev, "x": stack.x_dist, "y": stack.y_dist}
        arrays["dwell"] = stack.data_dwell
        if references:
            stack.evi0, stack.i0data = stack.ev.copy(), np.ones(stack.n_ev)
            stack.i0_dwell = stack.data_dwell
            stack.stack4D = None
            stack.calculate_optical_density()
            known = np.load(references)
            analysis = analyze(stack)
            spectra = [np.interp(stack.ev, known[0], one) for one in known[1:]]
            spectra.append((stack.ev - stack.ev.mean()) / np.ptp(stack.ev))
            analysis.target_spectra = np.vstack([analysis.remap_spectrum(stack.ev, one) for one in spectra])
            analysis.n_target_spectra, analysis.tspectrum_loaded = len(spectra), 1
            analysis.read_target_spectrum(flat=True)
            analysis.calc_svd_maps()
            arrays["weights"] = analysis.target_svd_maps
    np.savez(out, **arrays)
    entry = next(iter(structure.values()))
    found = {"channels": list(entry), "definition": entry.definition, "kind": entry.scan_type}
    found |= {"axes": entry.data_axes, "shape": list(entry.data_shape), "plugin": file_plugins.identify(path).title}
    print()  # behind what it said without an end of line
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
