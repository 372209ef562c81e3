"""What the table of the capture box may say, and what of it is refused."""

from pathlib import Path

import pytest

from whiteline.beamline import description
from whiteline.beamline.description import DescriptionError, load

CAPTURE = 'counters = ["incident", "transmitted", "reference"]\nmost_per_s'


def test_both_beamlines_have_a_box_with_the_units_of_its_sources() -> None:
    for name, detector in (("txm", "camera"), ("nanoprobe", "fluorescence")):
        beamline = load(name)
        assert beamline.capture is not None
        assert beamline.capture.detector == detector
        units = {path: axis.unit for path, axis in beamline.axes().items()}
        found = {name: channel.unit_in(units) for name, channel in beamline.capture.channels.items()}
        assert found == {"x": "um", "y": "um", "z": "um", "rotation": "deg", "bragg": "deg"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (CAPTURE, 'counters = ["incident", "diode"]\nmost_per_s', "'diode' is no counter; counters are incident"),
        ('detector = "fluorescence"', 'detector = "camera"', "a detector 'camera' that this beamline has not"),
        ('source = "sample.rotation"', 'source = "sample.turn"', "'sample.turn' is no axis; axes are"),
        ('source = "sample.interferometer.y"', 'source = "sample.interferometer.x"', "is read by two channels"),
        ("most_per_s = 50000.0\n", "most_per_s = 0.0\n", "most_per_s"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    text = (Path(description.__file__).parent / "nanoprobe.toml").read_text()
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(DescriptionError, match=why):
        load(str(tmp_path / "mine.toml"))
