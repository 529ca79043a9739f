"""What several tests of the kernel's side want."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.cgroups import own_cgroup


@pytest.fixture
def cgroup() -> Iterator[str]:
    """A cgroup of the test's own: the path of its folder."""
    with own_cgroup() as path:
        yield path
