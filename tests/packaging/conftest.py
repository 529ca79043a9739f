"""purebpf's own wheel, built once for all tests of packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging import environments


@pytest.fixture(scope="session")
def purebpf_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environments.purebpf_wheel(tmp_path_factory.mktemp("purebpf"))
