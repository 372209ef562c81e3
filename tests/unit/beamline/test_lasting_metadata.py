"""Metadata that lasts: what one session has written, the next one reads; nothing is ever half there."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whiteline.beamline.lasting_metadata import LastingMetadata

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_the_next_session_reads_what_this_one_wrote(tmp_path: Path, values: dict[str, object]) -> None:
    path = tmp_path / "deep" / "metadata.json"
    path.unlink(missing_ok=True)
    first = LastingMetadata(path)
    first.update(values)
    assert dict(LastingMetadata(path)) == values
    for key in values:
        del first[key]
    assert dict(LastingMetadata(path)) == {}


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    metadata = LastingMetadata(path)
    metadata["scan_id"] = 7
    with pytest.raises(TypeError, match="plain numbers"):
        metadata["camera"] = object()
    assert dict(metadata) == dict(LastingMetadata(path)) == {"scan_id": 7}
    with pytest.raises(KeyError):
        del metadata["proposal"]


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    path.write_text("[1, 2")
    with pytest.raises(ValueError, match="move it away"):
        LastingMetadata(path)


def test_two_sessions_at_once_do_not_give_the_same_number_twice(tmp_path: Path) -> None:
    one, other = LastingMetadata(tmp_path / "metadata.json"), LastingMetadata(tmp_path / "metadata.json")
    given = []
    for session in (one, other, other, one, other):
        session["scan_id"] = session.get("scan_id", 0) + 1
        given.append(session["scan_id"])
    assert given == [1, 2, 3, 4, 5]
