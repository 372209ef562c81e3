"""Files of frames whose end was lost while they were being written: the store looks at them, and does not hang."""

import multiprocessing
from pathlib import Path

import h5py
import numpy as np
import pytest

from whiteline.beamline.store.frames import FrameFile
from whiteline.beamline.store.recovery import resource_of

LONG_S = 60


def look(path: Path, into: "multiprocessing.queues.Queue[str]") -> None:  # type: ignore[name-defined]
    try:
        into.put(f"{FrameFile(resource_of('run', path)).on_disk()[0]} frames")
    except OSError as error:
        into.put(str(error))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_a_file_that_lost_its_end_is_looked_at_in_bounded_time(tmp_path: Path, share: float) -> None:
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("entry/data/data", (0, 5, 7), "<u2", maxshape=(None, 5, 7), chunks=(1, 5, 7))
        file.swmr_mode = True
        for number in range(60):
            data.resize(number + 1, axis=0)
            data[number] = np.full((5, 7), number)
            data.flush()
        left = path.read_bytes()  # what a writer that is killed now leaves
    path.write_bytes(left[: int(share * len(left))])
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    process = context.Process(target=look, args=(path, found), daemon=True)
    process.start()
    process.join(LONG_S)
    hangs = process.is_alive()
    process.kill()
    assert not hangs
    told = found.get(timeout=LONG_S)
    assert "cannot be read" in told or told.endswith(" frames")
