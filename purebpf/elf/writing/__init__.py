"""The writer of object files: a CollectionSpec as a relocatable ELF file that libbpf, bpftool and cilium/ebpf take.

The same spec gives the same bytes, wherever and whenever. docs/object-files.md tells where in a file each part of a spec is.
"""
