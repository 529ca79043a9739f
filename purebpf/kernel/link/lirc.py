"""Programs on what an infrared receiver hears (Linux 4.18; drivers/media/rc/bpf-lirc.c, CONFIG_BPF_LIRC_MODE2).

By BPF_PROG_ATTACH on the receiver's device: there are no links for it. The receiver keeps the program until it is detached.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from purebpf.errors import KernelError
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP, failure
from purebpf.kernel.link.base import KernelLink, only_here, own
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import AttachType, Command

OPTIONS = {"device": "the receiver, such as '/dev/lirc0'"}
NEEDS = ("CAP_NET_ADMIN",)
REASONS = {
    errno.EINVAL: "It is no infrared receiver that gives pulses and spaces, or the kernel was built without "
    "CONFIG_BPF_LIRC_MODE2.",
    errno.EEXIST: "This program is attached there already.",
    errno.E2BIG: "A receiver takes 64 programs.",
    errno.ENODEV: "The receiver is gone.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """Raises KernelError for what is no receiver."""
    options = Options("lirc_mode2", given, OPTIONS)
    path = options.text("device")
    if not path:
        raise options.wrong("needs the option 'device'")
    try:
        device = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), f"the receiver {path}")
    except OSError as error:
        said = os.strerror(error.errno or 0).lower()
        raise KernelError(error.errno or errno.ENODEV, f"Opening the receiver {path} failed: {said}.") from error
    held = own(program)
    fields = {"target_fd": device.number, "attach_bpf_fd": held.number, "attach_type": int(AttachType.LIRC_MODE2)}
    answer = bpf(Command.PROG_ATTACH, fields)
    if answer < 0:
        device.close()
        held.close()
        what = f"Attaching {program.descriptor.what} to {path}"
        raise failure(-answer, what, needs=NEEDS, first=(4, 18), feature="programs of infrared receivers", reasons=REASONS)

    def detach() -> None:
        answer = bpf(Command.PROG_DETACH, fields)
        if answer < 0 and -answer not in (errno.ENOENT, errno.ENODEV, errno.EINVAL, ENOTSUPP):
            raise failure(-answer, f"Detaching {held.what} from {path}")

    def cleanup() -> None:
        held.close()
        device.close()

    return KernelLink("lirc attach", (), only_here(detach), cleanup)
