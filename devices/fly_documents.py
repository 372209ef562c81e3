"""What a fly scan tells of its files: StreamResource and StreamDatum documents, as the RunEngine completes them.

It fills in the run, the descriptor and the numbers of the points.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

Document = tuple[str, dict[str, Any]]

MIMETYPE = "application/x-hdf5"


class StreamFile:
    """A file with one dataset for each data key, that grows along its first dimension.

    Parameters
    ----------
    path : str
        As clients read it, with slashes.
    datasets : mapping of str to (str, sequence of int)
        By data key: where the dataset lies in the file, and the shape of its chunks.
    """

    def __init__(self, path: str, datasets: Mapping[str, tuple[str, Sequence[int]]]) -> None:
        self.path = path
        self._datasets = datasets
        self._uids: dict[str, str] = {}
        self._times = 0

    def told(self, first: int, stop: int) -> Iterator[Document]:
        """Yield the documents of what has come, from one index on, up to but not including another.

        Those that say where the file is come before the first of them.
        """
        if stop <= first:
            return
        self._times += 1
        if not self._uids:
            self._uids = {key: str(uuid4()) for key in self._datasets}
            for key, (dataset, chunk) in self._datasets.items():
                # to Tiled an index of one number is that number
                single = tuple(chunk[1:]) == (1,)
                shape = {"chunk_shape": list(chunk[:1]), "squeeze": True} if single else {"chunk_shape": list(chunk)}
                yield (
                    "stream_resource",
                    {
                        "uid": self._uids[key],
                        "data_key": key,
                        "mimetype": MIMETYPE,
                        "uri": f"file://localhost/{self.path.lstrip('/')}",
                        "parameters": {"dataset": dataset, **shape, "swmr": True},
                        "run_start": "",
                    },
                )
        for uid in self._uids.values():
            yield (
                "stream_datum",
                {
                    "uid": f"{uid}/{self._times}",
                    "stream_resource": uid,
                    "descriptor": "",
                    "indices": {"start": first, "stop": stop},
                    "seq_nums": {"start": 0, "stop": 0},
                },
            )


class Telling:
    """What of a file was told of: all that is new, or once more what was told last.

    After a pause the RunEngine carries out messages anew, and counts anew what it is told: so what was told last is
    told again, unless something else was begun since.
    """

    def __init__(self) -> None:
        self.told = 0
        self._last: tuple[int, int] | None = None

    def begin(self) -> None:
        """Something new was begun: what was told is not told again."""
        self._last = None

    def next(self, stop: int) -> tuple[int, int]:
        """Return from and to which number is to be told of, if there are so many."""
        if stop > self.told:
            self._last, self.told = (self.told, stop), stop
        return self._last or (stop, stop)


def stream_key(source: str, shape: Sequence[int], dtype: str, unit: str = "") -> dict[str, Any]:
    """Return how a descriptor describes data that lie in a file.

    Parameters
    ----------
    source : str
        Process variable, or the beginning of those of a device.
    shape : sequence of int
        Of one index.
    dtype : str
        As numpy writes it, such as "<f8".
    unit : str
        If there is one.
    """
    described = {
        "source": f"PV:{source}",
        "dtype": "array",
        "shape": list(shape),
        "dtype_numpy": dtype,
        "external": "STREAM:",
    }
    return described | ({"units": unit} if unit else {})
