"""What is logged is in the file, and after the session nothing is written any more."""

import logging
from pathlib import Path

from whiteline.beamline.log_file import logging_to


def test_words_of_the_session_are_kept_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "log" / "session.log"
    log = logging.getLogger("whiteline.store")
    before = logging.getLogger("whiteline").level
    with logging_to(path):
        log.info("the catalog is back")
        logging.getLogger("ophyd.objects").warning("put took long")
        logging.getLogger("elsewhere").warning("not of the beamline")
    log.warning("too late")
    text = path.read_text()
    assert "INFO whiteline.store: the catalog is back" in text
    assert "WARNING ophyd.objects: put took long" in text
    assert "elsewhere" not in text
    assert "too late" not in text
    assert logging.getLogger("whiteline").level == before
