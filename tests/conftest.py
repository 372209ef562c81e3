"""What all tests share: fresh seeds that are printed, the measured spectra where they are, and the two twins."""

import os
import secrets
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("whiteline", deadline=None, print_blob=True)
hypothesis.settings.load_profile("whiteline")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def seed() -> int:
    """A fresh seed each time, printed where a test fails; WHITELINE_SEED repeats one."""
    chosen = int(os.environ.get("WHITELINE_SEED") or secrets.randbelow(2**31))
    print(f"WHITELINE_SEED={chosen}")
    return chosen


@pytest.fixture
def root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture
def measured() -> Path:
    """The folder of measured spectra, which lies beside the project and is no part of it."""
    folder = Path(os.environ.get("WHITELINE_SPECTRA") or ROOT.parent / "shared" / "data" / "xanes")
    if not folder.is_dir():
        pytest.skip(f"no measured spectra at {folder}; WHITELINE_SPECTRA names another folder")
    return folder
