"""Option ``--site=FOLDER``, with the folder of the built site, as ``nox -s docs -- test`` passes it."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--site", type=Path, help="folder with the built site")


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--site", default=None)
    if folder is None:
        pytest.skip("needs a built site: nox -s docs -- test")
    return folder.resolve()
