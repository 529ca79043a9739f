"""What this kernel can do: types of maps, programs and links, helpers, found out by trying each with as little as it takes.

Nothing is attached and nothing stays. An answer is kept for the life of the process, but only when it is conclusive: a lack of
privilege or memory says nothing about the kernel.
"""

from __future__ import annotations

from purebpf.kernel.features.answers import Answer
from purebpf.kernel.features.helpers import helper, helpers_of
from purebpf.kernel.features.links import link_type
from purebpf.kernel.features.maps import map_type
from purebpf.kernel.features.programs import program_type

__all__ = ["Answer", "helper", "helpers_of", "link_type", "map_type", "program_type"]
