"""What is worked round, and why; a test that fails here tells that something may be taken out again."""

import subprocess
import sys
from typing import Any

import pytest


def test_the_writer_of_the_plugins_cannot_flush() -> None:
    """Else `whiteline.beamline.store.tiled_writer` need not touch its inside."""
    from bluesky_tiled_plugins import TiledWriter

    assert not hasattr(TiledWriter, "flush")


def test_importing_a_server_of_tiled_warns() -> None:
    """Else `whiteline.beamline.store.catalog.quiet` is not needed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import tiled.client.context; from starlette import testclient"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "starlette.testclient" in done.stderr


def test_bluesky_drops_the_document_of_a_file_when_it_is_interrupted_between_reading_and_event(
    engine: Any, detector: Any
) -> None:
    """Else `whiteline.beamline.store.recovery.mend` need not look for files of runs that have come to their end."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    from bluesky.utils import RunEngineInterrupted

    camera, names = detector(), list[str]()

    def plan() -> Any:
        for message in bp.count([camera]):
            if message.command == "save":
                yield from bps.pause()
            yield message

    with pytest.raises(RunEngineInterrupted):
        engine(plan(), lambda name, _: names.append(name))
    engine.resume()
    assert names == ["start", "descriptor", "datum", "event", "stop"]


def test_the_consolidator_of_the_plugins_takes_the_first_frames_of_a_file() -> None:
    """Else `whiteline.beamline.store.external.ListedFrames` is not needed."""
    from bluesky_tiled_plugins.writing.consolidators import HDF5Consolidator

    described = {"data_keys": {"x": {"shape": [1, 2, 2], "dtype_numpy": "<u2"}}}
    resource = {"uid": "r", "data_key": "x", "mimetype": "application/x-hdf5", "uri": "file://localhost/x.h5"}
    one = HDF5Consolidator(resource | {"parameters": {"dataset": "data"}}, described)
    one.consume_stream_datum({"indices": {"start": 3, "stop": 4}, "seq_nums": {"start": 1, "stop": 2}})
    assert one.shape[0] == 1
    assert "frames" not in one.get_data_source().parameters
    assert "slice" not in one.get_data_source().parameters
