"""Words of the verifier that the programs here do not bring about: locks, sleeping, size limits, BTF."""

from __future__ import annotations

import pytest

from purebpf.explain.rules import find_rule, rules

SAID = [
    ("The sequence of 8193 jumps is too complex.", "too_many_jumps"),
    ("back-edge from insn 7 to 3", "back_edge"),
    ("tail_calls are not allowed when call stack of previous frames is 320 bytes. Too large", "tail_call_stack"),
    ("Locking two bpf_spin_locks are not allowed", "dead_lock"),
    ("bpf_spin_unlock without taking a lock", "unlock"),
    ("bpf_spin_unlock is missing", "left_locked"),
    ("function calls are not allowed while holding a lock", "lock_call"),
    ("map 'm' has no valid bpf_spin_lock", "lock_type"),
    ("helper call might sleep in a non-sleepable prog", "sleeps"),
    ("sleepable helper bpf_copy_from_user#148 in rcu_read_lock region", "sleeps"),
    ("kernel func bpf_iter_css_new is sleepable within rcu_read_lock region", "sleeps"),
    ("R1 invalid mem access 'ptr_or_null_sock'", "maybe_null"),
    ("R2 invalid mem access 'trusted_ptr_or_null_task_struct'", "maybe_null"),
    ("Possibly NULL pointer passed to trusted arg0", "null_argument"),
    ("R2 is not a known constant'", "not_constant"),
    ("cannot write into packet", "packet_read_only"),
    ("R1 cannot write into rdonly_mem", "read_only"),
    ("access beyond struct task_struct at off 99999 size 8", "kernel_object_range"),
    ("unknown opcode 8d", "unknown_instruction"),
    ("Caller passes invalid args into func#1 ('helper')", "function_arguments"),
    ("attach_btf_id 4 is not a function", "attach_target"),
    ("R1 must be referenced when passed to release function", "released_twice"),
    ("R0 leaks addr as return value", "leaks_address"),
    ("R1 bitwise operator &= on pointer prohibited", "pointer_operator"),
    ("R2 tried to subtract pointer from scalar", "pointer_minus"),
    ("metadata kfuncs require device-bound program", "device_bound"),
    ("math between map_value pointer and register with unbounded min value is not allowed", "unbounded_pointer_math"),
    ("R0 max value is outside of the array range", "beyond_maximum"),
    ("invalid indirect read from stack R2 off -16+4 size 16", "uninitialised_stack"),
    ("invalid read from stack R10 off -8+0 size 8", "uninitialised_stack"),
    ("At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]", "result_range"),
    ("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region", "left_locked"),
    ("same insn cannot be used with different pointers", "two_kinds"),
]


@pytest.mark.parametrize(("said", "name"), SAID, ids=[f"{name}-{at}" for at, (_, name) in enumerate(SAID)])
def test_words_are_known(said: str, name: str) -> None:
    found = find_rule([said])
    assert found is not None and found.rule.name == name


def test_every_rule_has_a_message_and_something_to_do() -> None:
    for rule, _ in rules():
        assert rule.message and rule.hint, rule.name
        assert not rule.message.endswith(".") and not rule.hint.endswith("."), rule.name


def test_names_in_the_texts_are_groups_of_the_pattern() -> None:
    import re

    for rule, pattern in rules():
        known = {*pattern.groupindex, "where", "end"}
        names = {name for text in (rule.message, rule.label, rule.hint, rule.python) for name in re.findall(r"\{(\w+)\}", text)}
        assert names <= known, rule.name


def test_other_words_have_no_rule() -> None:
    assert find_rule(["all is well", ""]) is None
