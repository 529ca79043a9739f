"""The lines of `btf dump`, for each kind, and the same as data."""

from __future__ import annotations

import json

from purebpf.btf.dump import lines, rows
from purebpf.btf.reader import Btf
from tests.btf.make import everything

LINES = """\
[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
[2] PTR '(anon)' type_id=1
[3] ARRAY '(anon)' type_id=1 index_type_id=1 nr_elems=7
[4] STRUCT 'thing' size=8 vlen=2
	'first' type_id=1 bits_offset=0
	'second' type_id=1 bits_offset=32 bitfield_size=3
[5] UNION 'thing' size=4 vlen=1
	'first' type_id=1 bits_offset=0
[6] ENUM 'choice' encoding=SIGNED size=4 vlen=2
	'A' val=-1
	'B' val=2
[7] FWD 'thing' fwd_kind=union
[8] TYPEDEF 'first' type_id=1
[9] VOLATILE '(anon)' type_id=8
[10] CONST '(anon)' type_id=9
[11] RESTRICT '(anon)' type_id=2
[12] FUNC 'main' type_id=13 linkage=global
[13] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
	'first' type_id=2
	'(anon)' type_id=0
[14] VAR 'second' type_id=10, linkage=extern
[15] DATASEC 'section' size=4 vlen=1
	type_id=14 offset=0 size=4 (VAR 'second')
[16] FLOAT 'first' size=8
[17] DECL_TAG 'A' type_id=4 component_idx=-1
[18] TYPE_TAG 'B' type_id=10
[19] ENUM64 'choice' encoding=UNSIGNED size=8 vlen=1
	'A' val=9223372036854775807ULL"""


def test_lines_of_each_kind() -> None:
    assert "\n".join(lines(Btf(everything("big").bytes()))) == LINES


def test_rows_are_for_json() -> None:
    made = json.loads(json.dumps(list(rows(Btf(everything("little").bytes()), [4, 14]))))
    assert made == [
        {
            "id": 4,
            "kind": "STRUCT",
            "name": "thing",
            "size": 8,
            "vlen": 2,
            "members": [
                {"name": "first", "type_id": 1, "bits_offset": 0},
                {"name": "second", "type_id": 1, "bits_offset": 32, "bitfield_size": 3},
            ],
        },
        {"id": 14, "kind": "VAR", "name": "second", "type_id": 10, "linkage": "extern"},
    ]
