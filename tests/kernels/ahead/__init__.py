"""What guests need compiled, compiled by the host before they boot: an emulated processor is some twenty times slower.

The host is told what the guest's kernel takes (`features.py`), runs the tests of the language against a stand-in for that
kernel (`making.py`), and so fills a folder with compiled programs as purebpf keeps them (`purebpf/kept`). The guest takes a
program from there if all that it was made of is the same in the guest, as any script would; else it compiles (`taking.py`).
Random programs are made ahead too (`tests/fuzz/ahead.py`). What a program gives is always found out in the guest.
"""
