#!/usr/bin/env python3
"""Registration by scikit-image of made frames with known drift: milliseconds per frame, and RMS error in pixels.

`phase_cross_correlation` to 1/100 px against the middle frame, with its default normalisation and without.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import skimage
from skimage.registration import phase_cross_correlation

WAYS = {"default": {}, "normalization_none": {"normalization": None}}


def main() -> None:
    """Register, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, help="frames.npy (frames, y, x)")
    parser.add_argument("truth", type=Path, help="truth.npz")
    parser.add_argument("out", type=Path, nargs="?", help="where the shifts go, .npz")
    options = parser.parse_args()

    frames = np.load(options.frames, mmap_mode="r")
    truth = np.load(options.truth)["shift_px"]
    reference = len(frames) // 2
    figures: dict[str, object] = {"peer": f"scikit-image {skimage.__version__}", "frames": len(frames)}
    shifts: dict[str, np.ndarray] = {}
    for way, settings in WAYS.items():
        found, times = [], []
        for frame in frames:
            moving = np.array(frame)
            start = time.perf_counter()
            shift, _, _ = phase_cross_correlation(frames[reference], moving, upsample_factor=100, **settings)
            times.append(time.perf_counter() - start)
            found.append(-shift)  # what they return moves the content back
        shifts[way] = np.array(found)
        error = shifts[way] - (truth - truth[reference])
        figures[f"ms_per_frame_{way}"] = 1e3 * float(np.median(times))
        figures[f"rms_px_{way}"] = float(np.sqrt(np.mean(error**2)))
    if options.out is not None:
        np.savez(options.out, **shifts)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
