"""Loads instructions: PROG_LOAD without a log first, with one when that fails (kernel/bpf/verifier.c, kernel/bpf/log.c)."""

from __future__ import annotations

import errno

from purebpf.kernel.attr import pack, read
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.memlock import with_memlock
from purebpf.kernel.syscall import Pinned, address, bpf, bpf_buffer, room
from purebpf.kernel.token import with_token
from purebpf.tables.attr import INTEGERS
from purebpf.tables.enums import Command

FIRST_LOG = 64 << 10
GROWTH = 8  # of a log whose size an old kernel does not tell: each attempt verifies the program once more
LONGEST = FIRST_LOG * GROWTH**3  # 32 MiB; a program that is too complex fills gigabytes
INSTRUCTION = ": ("  # in the line of one: its number, its opcode
VERDICT = 4  # the log level of refusals and statistics without instructions
LARGEST_LOG = 0xFFFF_FFFF >> 2  # bpf_verifier_log_attr_valid
KEEPS_END = (6, 4)  # of a log that is too long, where older kernels keep its beginning
END = 512 << 10  # of a log of a million instructions: enough to see where they are
TELLS_SIZE = sum(INTEGERS["PROG_LOAD"]["log_true_size"])

MANY = 100_000  # instructions, whose log is better not asked for again
STATES_AT_LEVEL_1 = (5, 17)  # before it, level 1 tells states only where paths meet

TAIL = 12  # lines before its last word
REPORT = "Verification failed:"  # where newer kernels begin to tell the same once more, in words
PARTS = ("Reason:", "Suggestion:")  # of that report; the others repeat instructions of the log

Fields = dict[str, int | bytes]


def load(fields: Fields, log_level: int = 0) -> tuple[int, str]:
    """Make the load; (descriptor or minus errno, the verifier's log).

    With `log_level` 0 there is a log only of a failure; 1 tells every instruction, 2 every state as well, 4 only statistics.
    Before Linux 5.17 level 1 has no states: a failure that is short is told at level 2 there.
    """
    if not log_level:
        answer = with_token(Command.PROG_LOAD, fields, lambda: with_memlock(lambda: bpf(Command.PROG_LOAD, fields)))
        # Without the privilege there is no log, and ENOSYS comes before the verifier. EFAULT may be a fault that it found in
        # itself, which the log tells.
        if answer >= 0 or answer in (-errno.EPERM, -errno.ENOSYS, -errno.EMFILE, -errno.ENFILE):
            return answer, ""
        if answer == -errno.E2BIG:  # too many instructions to walk through, or functions that call one another too deeply
            log = _end(fields)
            if INSTRUCTION in log or count_verified(log) >= MANY:
                return answer, log
    log = ""

    def told() -> int:
        nonlocal log
        answer, log = _told(fields, log_level or 1)
        return answer

    answer = with_token(Command.PROG_LOAD, fields, told)
    short = INSTRUCTION in log and len(log) < FIRST_LOG
    if not log_level and answer < 0 and short and kernel_version() < STATES_AT_LEVEL_1:
        return _told(fields, 2)
    return answer, log


def _told(fields: Fields, level: int) -> tuple[int, str]:
    """Load with a log, in as many attempts as it takes to have the whole log. Of a huge one that an old kernel cuts at the end,
    where the refusal is, its last words only."""
    size = FIRST_LOG
    while True:
        log = room(size)
        answer, wanted = _with_log(fields, log, size, level)
        if answer != -errno.ENOSPC or size >= LARGEST_LOG:
            return answer, log.value.decode("utf-8", "replace")
        if not wanted and size >= LONGEST and level != VERDICT:
            return _told(fields, VERDICT)
        size = min(wanted if wanted > size else size * GROWTH, LARGEST_LOG)


def _end(fields: Fields) -> str:
    """The last words on a program that takes the verifier too many instructions. It walks through all of them each time that it
    is asked, and tells gigabytes: so this asks once."""
    keeps = kernel_version() >= KEEPS_END
    log = room(END)
    answer, _ = _with_log(fields, log, END, 1 if keeps else VERDICT)
    text = log.value.decode("utf-8", "replace")
    return text.partition("\n")[2] if answer == -errno.ENOSPC else text  # its first line may have lost its beginning


def _with_log(fields: Fields, log: Pinned, log_size: int, level: int) -> tuple[int, int]:
    """(descriptor or minus errno, the size of log the kernel would have liked; 0 before Linux 6.4, which does not tell)."""
    with_log: Fields = {**fields, "log_level": level, "log_size": log_size, "log_buf": address(log)}

    attribute, end = pack("PROG_LOAD", with_log)
    # log_true_size is written only when the announced size reaches it. An older kernel takes zeros that it does not know.
    size = max(end, TELLS_SIZE)
    answer = with_memlock(lambda: bpf_buffer(Command.PROG_LOAD, attribute, size))
    return answer, read("PROG_LOAD", attribute, "log_true_size")


def tail(log: str) -> str:
    """The end of a log for a message, indented: the last lines up to what the verifier refuses, and what its report adds."""
    lines = [line for line in log.strip().splitlines() if not line.startswith(("processed ", "verification time"))]
    begin = next((at for at, line in enumerate(lines) if line.startswith(REPORT)), len(lines))
    told = "\n".join(lines[:begin]).rstrip().splitlines()
    shown = [f"({len(told) - TAIL} lines before)"] if len(told) > TAIL else []
    shown += told[-TAIL:] + lines[begin : begin + 1]
    paragraphs = "\n".join(lines[begin + 1 :]).strip().split("\n\n")
    shown += [line for paragraph in paragraphs if paragraph.startswith(PARTS) for line in paragraph.splitlines()]
    return "\n".join(f"    {line}" for line in shown)


def count_verified(log: str) -> int:
    """How many instructions the verifier went through, from the log's last line; 0 when it does not say."""
    for line in reversed(log.splitlines()):
        words = line.split()
        if words[:1] == ["processed"] and len(words) > 1 and words[1].isdigit():
            return int(words[1])
    return 0
