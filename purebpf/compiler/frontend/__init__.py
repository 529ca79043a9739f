"""From Python's syntax tree to IR: name resolution, types, messages.

Handlers of syntax register themselves and lower one another's parts, so the modules know each other in rings; `functions`,
which starts it all, is where they are entered.
"""

from purebpf.compiler.frontend import functions as functions
