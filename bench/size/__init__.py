"""Instruction slots of programs written in Python and of the same programs in C through clang."""
