"""What the fault tests share: the compiled shim."""

from pathlib import Path

import pytest

from tests.faults.shim.shim import build


@pytest.fixture(scope="session", name="shim")
def _shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The LD_PRELOAD library; tests that use it are marked `needs("cc")`."""
    return build(tmp_path_factory.mktemp("shim"))
