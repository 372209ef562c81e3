"""Rasters as documents, with a known map."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from event_model import compose_run
from making_runs import Document, references, usual_energies

from whiteline.analysis.spectra.reference import on_energies

ELEMENTS = 4
"""Of the fluorescence detector."""


def raster(seed: int, *, missing: int = 0, backwards: bool = False) -> Iterator[Document]:
    """A raster of 12 × 14 pixels at each energy, snaking, of one line."""
    energies = np.array(usual_energies())[:: -2 if backwards else 2]
    shape = (energies.size, 12, 14)
    source = np.random.default_rng(seed)
    nio, linio2 = (on_energies(one, energies) for one in references())
    fraction = np.linspace(0, 1, 14)[None] * np.ones((12, 1))
    bundle = compose_run(
        metadata={"shape": list(shape), "snaking": [False, False, True], "motors": ["energy", "y", "x"]}
    )
    number: dict[str, Any] = {"source": "x", "dtype": "number", "shape": []}
    keys = ["fluorescence_Ni_Ka", "fluorescence_Ni_Ka_counts"]
    stream = bundle.compose_descriptor(
        name="primary",
        data_keys={
            "energy": {**number, "units": "eV"},
            "x": {**number, "units": "um"},
            "counters_incident_rate": number,
            keys[0]: number,
            keys[1]: {**number, "dtype": "array", "shape": [ELEMENTS]},  # as the detector counts, element by element
        },
        object_keys={"energy": ["energy"], "x": ["x"], "counters": ["counters_incident_rate"], "fluorescence": keys},
    )
    yield "start", bundle.start_doc
    yield "descriptor", stream.descriptor_doc
    total = int(np.prod(shape)) - missing
    for place in range(total):
        plane, row, column = np.unravel_index(place, shape)
        if (plane * 12 + row) % 2:
            column = 13 - column
        share = fraction[row, column]
        beam = 1e6 * source.uniform(0.7, 1.3)
        mean = 30_000 * beam / 1e6 * (0.05 + (1 - share) * nio[plane] + share * linio2[plane])
        counts = float(source.poisson(mean))
        data = {
            "energy": float(energies[plane]),
            "x": 0.5 * float(column),
            "counters_incident_rate": float(beam),
            keys[0]: 1.1 * counts,
            keys[1]: source.multinomial(int(counts), [1 / ELEMENTS] * ELEMENTS).astype(float).tolist(),
        }
        yield "event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0))
    yield "stop", bundle.compose_stop(exit_status="abort" if missing else "success")
