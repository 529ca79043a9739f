"""The instruction set: instructions, their bytes, constructors to write assembly in Python, text assembler and disassembler."""
