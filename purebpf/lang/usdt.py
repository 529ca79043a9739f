"""What compiler and loader agree on about probes that programs have themselves: the low bits of a link's cookie tell in which
way the place has its arguments, the others are the author's."""

from __future__ import annotations

COOKIE_BITS = 16
MOST_WAYS = 1 << COOKIE_BITS
LARGEST_COOKIE = (1 << 64 - COOKIE_BITS) - 1
