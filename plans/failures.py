"""What a failure says: bluesky raises that a status has failed, and the device has said why."""

from bluesky.utils import FailedStatus


def sentence_of(error: BaseException) -> str:
    """Return the sentence of an error; that of a failed status is the one by which the device failed it."""
    cause = error.__cause__ if isinstance(error, FailedStatus) and error.__cause__ is not None else error
    return str(cause) or type(cause).__name__
