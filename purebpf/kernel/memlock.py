"""Memory limits for maps and programs before Linux 5.11, which counts them per process (RLIMIT_MEMLOCK) and answers EPERM.

Later kernels count them per memory cgroup and need nothing of this. The limit is raised only after a refusal, once, and put
back when raising it did not help.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable

from purebpf.kernel.errors import kernel_version

COUNTED_BEFORE = (5, 11)


def with_memlock(attempt: Callable[[], int]) -> int:
    """Make a call; if the memory limit may be what refused it, raise the limit for this process and make it again."""
    answer = attempt()
    if answer != -errno.EPERM or kernel_version() >= COUNTED_BEFORE:
        return answer
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if before[0] == resource.RLIM_INFINITY or not _raise(before[1]):
        return answer
    answer = attempt()
    if answer == -errno.EPERM:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, before)
    return answer


def _raise(hard: int) -> bool:
    """To no limit at all where that is allowed (CAP_SYS_RESOURCE), else as far as the hard limit goes."""
    for limits in ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, limits)
        except (ValueError, OSError):
            continue
        return True
    return False
