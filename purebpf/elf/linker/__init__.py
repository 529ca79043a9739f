"""The static linker: several object files become one, as `bpftool gen object` makes it.

parts.py reads and checks, sections.py lays sections out, symbols.py finds who defines what, agree.py compares their types,
types.py and info.py merge `.BTF` and `.BTF.ext`, relocations.py moves relocations, link.py is the way through.
"""
