"""Why kernels cannot be run here at all, as a sentence for who asked for it."""


class CannotRun(Exception):
    """qemu, apt, the network or a kernel is missing."""
