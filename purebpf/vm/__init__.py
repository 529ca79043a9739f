"""The embedded engine: runs programs with no privilege, on any operating system. `engine.py` is the way in."""
