"""`.BTF.ext` is read as it is written, in both byte orders; damaged ones are clear errors."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.errors import BtfError
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind
from purebpf.btf.types import Int
from purebpf.elf import ext
from purebpf.elf.ext import CoreRecord, Ext, FunctionRecord, LineRecord

Order = Literal["little", "big"]
WHOLE = Ext(
    {"xdp": [FunctionRecord(0, 1), FunctionRecord(64, 1)], ".text": [FunctionRecord(8, 1)]},
    {"xdp": [LineRecord(0, "a.c", "\treturn 1;", 1_000_000, 1023), LineRecord(8, "a.c", "}", 3, 0)]},
    {"xdp": [CoreRecord(24, 1, "0:1:2", CoreKind.FIELD_BYTE_OFFSET)]},
)


def written(what: Ext, order: Order) -> tuple[bytes, Btf]:
    builder = BtfBuilder(order)
    builder.add(Int("int", 4, 32, signed=True))
    raw = ext.written(what, order, builder.string)
    return raw, Btf(builder.encode())


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("what", [WHOLE, Ext(), Ext(functions=WHOLE.functions), Ext(relocations=WHOLE.relocations)])
def test_what_is_written_is_read_again(what: Ext, order: Order) -> None:
    raw, btf = written(what, order)
    assert ext.read(raw, btf) == what


def test_longer_records_and_headers_are_read() -> None:
    raw, btf = written(Ext(functions={"xdp": [FunctionRecord(0, 1), FunctionRecord(8, 1)]}), "little")
    numbers = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 4)]
    size, name, count, *rows = numbers[8:]
    longer = [size + 4, name, count, *rows[:2], 7, *rows[2:], 9]
    head = [numbers[0], 40, 0, 4 * len(longer), 4 * len(longer), 0, 4 * len(longer), 0, 5, 5]
    again = b"".join(number.to_bytes(4, "little") for number in head + longer)
    assert ext.read(again, btf).functions == {"xdp": [FunctionRecord(0, 1), FunctionRecord(8, 1)]}


def test_a_header_without_relocations_is_read() -> None:
    raw, btf = written(Ext(functions=WHOLE.functions), "little")
    short = raw[:4] + (24).to_bytes(4, "little") + raw[8:24] + raw[32:]
    assert ext.read(short, btf) == Ext(functions=WHOLE.functions)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, 0, "begins with"),
        (2, 9, "version 9"),
        (4, 250, "header of 250"),
        (12, 200, "beyond the end"),
        (32, 4, "records of 4 bytes"),
        (40, 200, "beyond the end of their part"),
        (48, 7, "type 7; the highest number is 1"),
        (len(written(WHOLE, "little")[0]) - 4, 13, "of kind 13"),
    ],
)
def test_what_is_wrong_is_told(at: int, value: int, words: str) -> None:
    raw, btf = written(WHOLE, "little")
    damaged = bytearray(raw)
    damaged[at] = value
    with pytest.raises(BtfError, match=words):
        ext.read(bytes(damaged), btf)


def test_damaged_ones_are_errors_or_records() -> None:
    raw, btf = written(WHOLE, "little")
    refused = 0
    for seed in range(2000):
        chance = random.Random(seed)
        damaged = bytearray(raw)
        damaged[chance.randrange(len(raw))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        try:
            ext.read(bytes(damaged[: chance.choice((len(raw), chance.randrange(len(raw))))]), btf)
        except BtfError:
            refused += 1
    assert 500 < refused < 2000
