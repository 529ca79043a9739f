"""Objects of the program's own, kept in lists and search trees that lie in map values (Linux 6.6 for both as they are here).

@bpf.struct
class Job:
    node: bpf.RbNode
    due: u64

@bpf.struct
class Plan:
    lock: bpf.SpinLock
    jobs: bpf.RbTree[Job]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from purebpf.errors import Error
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.types import BoolType, IntType, KernelType, StructType, type_of

T = TypeVar("T")
LIST_HEAD, LIST_NODE, RB_ROOT, RB_NODE = "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node"
NODES = {LIST_HEAD: LIST_NODE, RB_ROOT: RB_NODE}


class ListNode:
    """`node: bpf.ListNode` in the record of an object: its place in a list."""

    __bpf_type__ = KernelType(LIST_NODE, 24, 8)


class RbNode:
    """`node: bpf.RbNode` in the record of an object: its place in a tree."""

    __bpf_type__ = KernelType(RB_NODE, 32, 8)


class List(Generic[T]):
    """`items: bpf.List[Item]` beside a `bpf.SpinLock`, which must be held for all that is done with it."""

    def __class_getitem__(cls, record: Any) -> Any:
        return _head(cls, LIST_HEAD, record) if type_of(record) is not None else super().__class_getitem__(record)  # type: ignore[misc]

    def push_front(self, item: T, /) -> None:
        """Hand an object over to the list, as its first."""
        _only_in_a_program("List.push_front()")

    def push_back(self, item: T, /) -> None:
        """Hand an object over to the list, as its last."""
        _only_in_a_program("List.push_back()")

    def pop_front(self) -> T | None:
        """Take the first object out; None when there is none."""
        _only_in_a_program("List.pop_front()")

    def pop_back(self) -> T | None:
        """Take the last object out; None when there is none."""
        _only_in_a_program("List.pop_back()")

    def front(self) -> T | None:
        """The first object, which stays in the list: a look, for as long as the lock is held (Linux 6.16)."""
        _only_in_a_program("List.front()")

    def back(self) -> T | None:
        """The last object, in the same way."""
        _only_in_a_program("List.back()")


class RbTree(Generic[T]):
    """`items: bpf.RbTree[Item]` beside a `bpf.SpinLock`, which must be held for all that is done with it."""

    def __class_getitem__(cls, record: Any) -> Any:
        return _head(cls, RB_ROOT, record) if type_of(record) is not None else super().__class_getitem__(record)  # type: ignore[misc]

    def add(self, item: T, less: Callable[[T, T], bool], /) -> None:
        """Hand an object over to the tree, behind those for which `less(item, other)` is False."""
        _only_in_a_program("RbTree.add()")

    def first(self) -> T | None:
        """The first object, which stays in the tree: a look, for as long as the lock is held."""
        _only_in_a_program("RbTree.first()")

    def root(self) -> T | None:
        """The object at the top, in the same way (Linux 6.16, as the next two)."""
        _only_in_a_program("RbTree.root()")

    def left(self, item: T, /) -> T | None:
        """The object below one, on the side of those before it."""
        _only_in_a_program("RbTree.left()")

    def right(self, item: T, /) -> T | None:
        """The object below one, on the side of those behind it."""
        _only_in_a_program("RbTree.right()")

    def remove(self, item: T, /) -> T | None:
        """Take an object out that the tree gave to look at."""
        _only_in_a_program("RbTree.remove()")


def _head(base: Any, name: str, record: Any) -> type:
    layout = type_of(record)
    shown = f"bpf.{base.__name__}[{getattr(record, '__name__', record)}]"
    if not isinstance(layout, StructType) or layout.union:
        raise Error(f"{shown}: what it holds is a @bpf.struct")
    wanted = NODES[name]
    if not any(field.type.name == wanted for field in layout.kept if isinstance(field.type, KernelType)):
        kind = "ListNode" if wanted == LIST_NODE else "RbNode"
        raise Error(f"{shown}: `{layout.name}` has no place for it: `node: bpf.{kind}`")
    other = next((field for field in layout.values if not isinstance(field.type, IntType | BoolType) or field.bits), None)
    if other is not None:
        raise Error(f"{shown}: an object has integers and bools only, `{layout.name}.{other.name}` is a `{other.type}`")
    return type(base.__name__, (base,), {"__bpf_type__": KernelType(name, 16, 8, layout.name, layout), "__module__": __name__})


def new(type: type[T], /, **fields: Any) -> T | None:
    """An object of the program's own, its fields given as to the record itself; None when there is no memory for it."""
    _only_in_a_program("new()")


def drop(item: Any, /) -> None:
    """Give an object's memory back."""
    _only_in_a_program("drop()")
