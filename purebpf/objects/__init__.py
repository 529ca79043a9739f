"""Collections that come as specs (of object files, of packages) loaded on an engine: programs, maps and variables by name.

Nothing here knows the compiler. `load` is the way in.
"""

from __future__ import annotations

from purebpf.objects.changes import with_variables as with_variables
from purebpf.objects.loading import load as load
from purebpf.objects.objects import Objects as Objects
