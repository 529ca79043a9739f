"""The static linker: several objects become one."""
