"""The instruction set."""
