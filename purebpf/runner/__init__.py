"""Runs programs as what they are, Python functions: for a debugger, with `print`, and one's own eyes.

`transform` rewrites a function's syntax tree where plain Python would mean something else and keeps its lines; `names` puts the
program's side in the place of maps, records and short names; `views` are records, arrays and texts in memory; `session` runs it
all on the maps and the machine of the virtual machine.
"""
