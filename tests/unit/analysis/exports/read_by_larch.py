#!/usr/bin/env python3
"""What larch reads of XDI and NXxas files: arrays, labels, units, header; one line of JSON, by the name of the file."""

import json
import sys
from pathlib import Path

import numpy as np
from larch import Group
from larch.io import NXxasFile, read_xdi
from larch.io.xas_data_source import open_xas_source, read_xas_source
from larch.xafs import find_e0, pre_edge


def read(path: str) -> dict[str, object]:
    """Read, normalise, and tell."""
    found: dict[str, object]
    if path.endswith(".xdi"):
        file = read_xdi(path)
        found = {"labels": file.array_labels, "units": file.array_units, "header": file.attrs}
        found |= {"element": file.element, "edge": file.edge, "comments": file.comments}
        found |= {name: np.asarray(getattr(file, name)).tolist() for name in file.array_labels}
        # larch decodes some and leaves others as bytes
        found = {key: one.decode() if isinstance(one, bytes) else one for key, one in found.items()}
        energy, mu = file.energy, getattr(file, "mutrans" if "mutrans" in file.array_labels else "mufluor")
    else:
        groups = NXxasFile(path)
        data = groups.root[groups.xas_groups[0]]["data"]
        found = {"groups": groups.xas_groups}
        found |= {name: data[name][()].decode() for name in ("element", "edge", "mode")}
        energy, mu = data["energy"][:], data[data.attrs["signal"]][:]
        groups.root.close()  # the other reader of larch opens it anew, in another way
        source = read_xas_source(path, open_xas_source(path).get_scan_names()[0])
        found |= {"labels": list(source.labels), "description": source.description, "mu": mu.tolist()}
        found |= {name: np.asarray(getattr(source, name)).tolist() for name in source.labels}
    group = Group(energy=energy, mu=mu)
    find_e0(group)
    pre_edge(group)
    return found | {"e0": float(group.e0), "edge_step": float(group.edge_step)}


if __name__ == "__main__":
    print(json.dumps({Path(path).name: read(path) for path in sys.argv[1:]}))
