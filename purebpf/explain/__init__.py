"""The verifier's log in words: what was rejected, where, what the verifier knew there, and what to do about it.

Text in, plain data out: no system call. `explain` is the entry; the steps are `log.py` (lines to parts), `states.py` (what the
verifier tracks of a register), `rules.py` and its tables (messages to sentences), `words.py` (states to words).
"""

from __future__ import annotations

from purebpf.explain.explanation import Explanation as Explanation
from purebpf.explain.explanation import explain as explain
