from collections.abc import Iterator

import pytest

from tests.faults.disks import disk
from tests.faults.jobs import Material, material


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Material]:
    """Material that all processes of a test run share."""
    own = tmp_path_factory.getbasetemp()
    with material((own.parent if own.name.startswith("popen") else own) / "faults") as found:
        yield found


@pytest.fixture(scope="session")
def needs_disks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where a small disk cannot be mounted."""
    try:
        with disk(tmp_path_factory.mktemp("disks") / "disk"):
            pass
    except OSError as error:
        pytest.skip(str(error))
