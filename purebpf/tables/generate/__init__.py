"""The generator of the tables: reads BTF, the UAPI headers and the running kernel's verifier; writes `purebpf/tables/*.py`.

Never imported by the product itself. `python -m purebpf.tables.generate --help` tells what it needs for which table.
"""
