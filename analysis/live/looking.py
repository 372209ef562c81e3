"""A frame that is only looked at: its shift against the reference and its sharpness, and no part in any map.

A plan takes it with a short exposure, to see where the sample has come back to, or how sharp it is in another place of
the zone plate, before it takes frames that count.
"""

import time

from whiteline.analysis.live.frame_work import FrameWork
from whiteline.analysis.live.recipes import Recipe
from whiteline.analysis.live.results import FrameFound
from whiteline.analysis.runs.unreadable import UnreadableRun


class Looks:
    """The newest frame that was taken to be looked at.

    Parameters
    ----------
    patience_s : float
        How long it may take to appear in its file [s].

    Attributes
    ----------
    found : FrameFound or None
        What it has told; None if another frame is newer.
    trouble : str
        Why it has told nothing, "" if it has.
    late : bool
        Whether it is not in its file yet, and may still come.
    """

    def __init__(self, patience_s: float) -> None:
        self.found: FrameFound | None = None
        self.trouble = ""
        self.late = False
        self._patience_s = patience_s
        self._recipe: Recipe | None = None
        self._deadline = 0.0

    def follow(self, recipe: Recipe | None, work: FrameWork | None) -> None:
        """Look at a frame, unless that was done.

        Parameters
        ----------
        recipe : Recipe or None
            Of the newest one; None if a frame of the stack is newer.
        work : FrameWork or None
            Knows the reference.
        """
        if recipe is None:
            self.found, self.trouble, self.late, self._recipe = None, "", False, None
            return
        if recipe == self._recipe and not self.late:
            return
        if recipe != self._recipe:
            self._deadline = time.monotonic() + self._patience_s
        self._recipe, self.found, self.trouble, self.late = recipe, None, "", False
        if work is None or not work.aligner.ready:
            self.trouble = "there is no frame yet that it could be compared with"
            return
        try:
            self.found = work.look(recipe)
        except UnreadableRun as error:
            self.trouble, self.late = str(error), time.monotonic() < self._deadline
        except (ValueError, OSError) as error:
            self.trouble = str(error)

    def give_up(self) -> None:
        """Wait no longer for a frame that is not in its file."""
        self._deadline, self.late = 0.0, False
