"""Runs as Datasets of xarray: readings by point, energies as a coordinate, frames that are read when needed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.pulses import Pulses
from whiteline.analysis.runs.roles import energy_key, is_spectra

if TYPE_CHECKING:
    from whiteline.analysis.runs.run import Run


def lazy_variable(stack: FrameStack, dims: Sequence[str]) -> Any:
    """Return a stack as a variable of xarray; its file is read when a value is needed, and only as far as it is."""
    import xarray
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Frames(BackendArray):
        shape, dtype = stack.shape, stack.dtype

        def __getitem__(self, key: Any) -> Any:
            return indexing.explicit_indexing_adapter(
                key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read
            )

        def _read(self, key: tuple[Any, ...]) -> Any:
            return stack[key]

    return xarray.Variable(tuple(dims), indexing.LazilyIndexedArray(Frames()))


def dataset_of(run: "Run", stream: str) -> Any:
    """Return a stream as a Dataset.

    The dimension of its points is "energy" if the run records the energy of each and is no raster, else "point". Along
    it there are the coordinates seq_num, time [s] and energy [eV]. Frames are (…, y, x), spectra (…, element, channel).

    Parameters
    ----------
    run : Run
        In question.
    stream : str
        Name of the stream.

    Returns
    -------
    xarray.Dataset
        With uid, scan_id, exit_status and completeness as attributes, and the unit of each reading as its own.

    Raises
    ------
    UnreadableRun
        If there is no such stream.
    """
    import xarray

    chosen = run.points_of(stream)
    axis = energy_key(run.start, chosen)
    point = "energy" if axis is not None and run.raster_shape is None else "point"
    coordinates: dict[str, Any] = {
        "seq_num": (point, chosen.seq_nums),
        "time": (point, chosen.times, {"units": "s"}),
    }
    if axis is not None:
        coordinates["energy"] = (point, chosen.numbers(axis), {"units": "eV"})
    variables: dict[str, Any] = {}
    for key, about in chosen.data_keys.items():
        if key == axis or key in coordinates:
            continue
        if "external" in about:
            if isinstance(chosen, Pulses) and not chosen.has_all(key):
                continue  # which frame is of which pulse `run.fly` tells
            inner = ("element", "channel") if is_spectra(chosen, key) else ("y", "x")
            stack = chosen.stack(key)
            variables[key] = lazy_variable(stack, (point, *inner[-(stack.ndim - 1) :]))
            continue
        values = chosen.read(key)
        inside = tuple(f"{key}_{number}" for number in range(1, values.ndim))
        attributes = {"units": chosen.unit(key)} if chosen.unit(key) else {}
        variables[key] = ((point, *inside), values, attributes)
    whole = run.completeness
    of_run: dict[str, Any] = {
        "uid": run.uid,
        "scan_id": run.start.get("scan_id", -1),
        "plan_name": str(run.start.get("plan_name", "")),
        "exit_status": run.exit_status,
        "completeness": str(whole),
        "discarded": len(run.discarded),
    }
    return xarray.Dataset(variables, coordinates, of_run)


def stack_dataset(run: "Run", policy: Any = "same-energy") -> Any:
    """Return frames, the flat of each frame and the dark as one Dataset with the dimensions energy, y, x.

    Frames and flats are read when they are needed; the dark, which is one frame, at once. What was not taken is left
    out.

    Raises
    ------
    UnreadableRun
        If the run has no frames, or records no energies.
    """
    import xarray

    variables: dict[str, Any] = {"frames": lazy_variable(run.frames, ("energy", "y", "x"))}
    if len(run.streams.get("flat", ())):
        variables["flats"] = lazy_variable(run.flats_for_frames(policy), ("energy", "y", "x"))
    if len(run.streams.get("dark", ())):
        variables["dark"] = (("y", "x"), run.dark())
    coordinates = {
        "energy": ("energy", run.energies, {"units": "eV"}),
        "wanted_energy": ("energy", run.wanted_energies, {"units": "eV"}),
        "magnification": ("energy", run.magnification),
        "frames_averaged": ("energy", run.frames.frames_per_point),
    }
    return xarray.Dataset(variables, coordinates, {"uid": run.uid, "exit_status": run.exit_status})
