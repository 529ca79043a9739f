"""What a machine may lack that an example needs: a skip, with the kernel's words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from purebpf.errors import KernelError, Unsupported


@contextmanager
def where_permitted() -> Iterator[None]:
    """Around loading and attaching alone. What this machine's policy or build forbids is a skip; all else stays an error."""
    try:
        yield
    except Unsupported as error:
        pytest.skip(str(error))
    except KernelError as error:
        if error.errno == errno.EPERM and "No capability is missing" in str(error):
            pytest.skip(str(error))
        raise
