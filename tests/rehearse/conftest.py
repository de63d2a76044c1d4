"""What tests of rehearsals need."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory: quick for thousands of commits."""
    path = Path(tempfile.mkdtemp(prefix="edge-agent-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)
