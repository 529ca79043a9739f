"""Puts into a function's syntax tree what plain Python would not do by itself, and leaves every line where it is.

n: u8 = x + 1        ->   n = (x + 1) & 255               an annotation narrows, in the whole function
a - b                ->   (a - b) & (1 << 64) - 1         where 64 bits may not hold it, as the compiler's ranges say
a // n               ->   bpf?floor(a, n)                 by a run-time 0
1 << n               ->   1 << (n & 63)                   where the count is no constant
m[k] += f(x)         ->   bpf?finish(bpf?item(m, k, "Add"), "Add", f(x))
a.x, b.y = b.x, a.y  ->   a.x, b.y = bpf?copies(...)      texts, bytes and arrays are values here
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Hashable
from types import CodeType, FunctionType
from typing import Any

from purebpf.compiler.frontend.names import assigned_names, nonlocals
from purebpf.compiler.frontend.source import Source
from purebpf.compiler.meaning import TURN, Annotation, Spot, Ways, loop_of, spot
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BoolType, IntType

U64, SIGN = (1 << 64) - 1, 1 << 63
CONSTANT_COUNTS = (ast.LShift, ast.RShift)
DIVISIONS = {ast.FloorDiv: "floor", ast.Mod: "modulo"}


def hidden(name: str) -> str:
    """The global by which transformed code reaches one of the runner's own functions; no source can write it."""
    return f"bpf?{name}"


class Transformer(ast.NodeTransformer):
    """`wraps` are the places where a result may leave 64 bits; `types` the annotated names; `resolve` gives the object that an
    outside name stands for; `takers` are the functions whose first argument is a place."""

    def __init__(
        self,
        source: Source,
        wraps: dict[Spot, Ways],
        types: dict[str, Annotation],
        result: Annotation | None,
        inner: dict[Spot, dict[str, Annotation]],
        resolve: Callable[[ast.expr], Any],
        takers: Collection[object],
    ) -> None:
        self.file = source.file
        self.wraps = wraps
        mixed = [ways for ways in wraps.values() if len(set().union(*ways.values())) > 1]
        self.loops = {loop_of(each) for ways in mixed for way in ways for each in way if each[0].startswith(TURN)}
        self.types = _integers(types)
        self.inner = inner
        self.result = result if isinstance(result, IntType | BoolType) else None
        self.resolve = resolve
        self.takers = takers

    def visit(self, node: ast.AST) -> Any:
        made = super().visit(node)
        if isinstance(made, ast.expr) and not hasattr(made, "lineno"):
            ast.copy_location(made, node)
        return made

    # -- arithmetic

    def wrapped(self, node: ast.AST, value: ast.expr, certain: bool = True) -> ast.expr:
        """The result as 64 bits hold it; `certain` that it is an integer."""
        place = spot(node, self.file)
        ways = self.wraps.get(place)
        if ways is None:
            return value
        signs = set().union(*ways.values())
        if len(signs) > 1 or not certain:
            return _call("wrap", value, _constant(place))
        if signs == {False}:
            return ast.BinOp(value, ast.BitAnd(), ast.Constant(U64))
        shifted = ast.BinOp(ast.BinOp(value, ast.Add(), ast.Constant(SIGN)), ast.BitAnd(), ast.Constant(U64))
        return ast.BinOp(shifted, ast.Sub(), ast.Constant(SIGN))

    def operation(self, op: ast.operator, left: ast.expr, right: ast.expr) -> ast.expr:
        if type(op) in DIVISIONS and not isinstance(right, ast.Constant):
            return _call(DIVISIONS[type(op)], left, right)
        if isinstance(op, CONSTANT_COUNTS) and not isinstance(right, ast.Constant) and not self._constant(right):
            right = ast.BinOp(right, ast.BitAnd(), ast.Constant(63))
        return ast.BinOp(left, op, right)

    def _constant(self, node: ast.expr) -> bool:
        return isinstance(self.resolve(node), int)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        return self.wrapped(node, self.operation(node.op, self.visit(node.left), self.visit(node.right)))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return self.wrapped(node, ast.UnaryOp(node.op, self.visit(node.operand)))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = self.resolve(node.func)
        if isinstance(function, Hashable) and function in self.takers and node.args:
            return ast.Call(self.visit(node.func), [self.place(node.args[0], ""), *map(self.visit, node.args[1:])], [])
        printed = [self._is_run_time(each) for each in node.args] if function is print else []
        made = self.generic_visit(node)
        assert isinstance(made, ast.Call)
        made.args = [*map(_shown, made.args, printed)] if printed else made.args
        return self.wrapped(node, made, certain=False)

    def _is_run_time(self, node: ast.expr) -> bool:
        """Whether a printed value is known at run time only."""
        return not isinstance(node, ast.Constant | ast.JoinedStr) and self.resolve(node) is None

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """A bool that is no constant is printed as a number."""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                printed = self._is_run_time(part.value)
                part.value = _shown(self.visit(part.value), printed)
        return node

    # -- storing

    def narrowed(self, name: str, value: ast.expr) -> ast.expr:
        return _narrow(self.types[name], value) if name in self.types else value

    def place(self, target: ast.expr, op: str) -> ast.expr:
        """The first half of a change."""
        match target:
            case ast.Subscript():
                return _call("item", self.visit(target.value), self.visit(target.slice), ast.Constant(op))
            case ast.Attribute():
                return _call("member", self.visit(target.value), ast.Constant(target.attr), ast.Constant(op))
        return self.visit(target)  # type: ignore[no-any-return]

    def kept(self, target: ast.expr, value: ast.expr) -> ast.expr:
        """The value for a name: a copy of a text, bytes or an array that is another place's, but for entries of maps."""
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            value.elts = [self.kept(t, v) for t, v in zip(target.elts, value.elts, strict=True)]
            return value
        if isinstance(target, ast.Name) and isinstance(value, ast.Tuple):
            value.elts = [self.kept(target, v) for v in value.elts]
            return value
        if isinstance(target, ast.Name) and isinstance(value, ast.Call) and isinstance(self.resolve(value.func), FunctionType):
            return _call("text", self.visit(value))
        places = ast.Attribute | ast.Subscript | ast.Name | ast.IfExp
        entry = isinstance(value, ast.Subscript) and isinstance(self.resolve(value.value), MapDeclaration)
        if not isinstance(target, ast.Name) or not isinstance(value, places) or entry:
            return self.visit(value)  # type: ignore[no-any-return]
        return _call("own", self.visit(value))

    def visit_Assign(self, node: ast.Assign) -> Any:
        node.value = self.kept(node.targets[0], node.value)
        targets = node.targets
        for target in targets:
            if isinstance(target, ast.Tuple | ast.List) and any(not isinstance(t, ast.Name) for t in target.elts):
                names = _constant(tuple(None if isinstance(t, ast.Starred) else isinstance(t, ast.Name) for t in target.elts))
                node.value = _call("copies", node.value, names)
        if len(targets) == 1 and isinstance(targets[0], ast.Name):
            node.value = self.narrowed(targets[0].id, node.value)
            return node
        node.targets = [self.visit(target) for target in targets]
        return [node, *self.narrowing(node, list(targets))]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None or not isinstance(node.target, ast.Name):
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(
            ast.Assign([node.target], self.narrowed(node.target.id, self.kept(node.target, node.value))), node
        )

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        if isinstance(node.target, ast.Name):
            old = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
            value = self.wrapped(node, self.operation(node.op, old, self.visit(node.value)))
            return ast.copy_location(ast.Assign([node.target], self.narrowed(node.target.id, value)), node)
        op = type(node.op).__name__
        return ast.copy_location(
            ast.Expr(_call("finish", self.place(node.target, op), ast.Constant(op), self.visit(node.value))), node
        )

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        node.value = self.narrowed(node.target.id, self.kept(node.target, node.value))
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        if node.value is not None:
            node.value = self.visit(node.value)
            if self.result is not None:
                node.value = _narrow(self.result, node.value)
        return node

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        place = spot(node, self.file)
        if place in self.loops:
            node.iter = ast.copy_location(_call("turns", _constant(place), node.iter), node.iter)
        node.body = [*self.narrowing(node.body[0], [node.target]), *node.body]
        return node

    def visit_With(self, node: ast.With) -> ast.With:
        self.generic_visit(node)
        targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
        node.body = [*self.narrowing(node.body[0], targets), *node.body]
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.match_case:
        self.generic_visit(node)
        captured: list[ast.expr] = [
            ast.Name(part.name, ast.Store()) for part in ast.walk(node.pattern) if isinstance(part, ast.MatchAs) and part.name
        ]
        node.body = [*self.narrowing(node.body[0], captured), *node.body]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """A function inside the program: its own annotations, and those of the variables around it."""
        around, self.types = (
            self.types,
            {
                **{name: type for name, type in self.types.items() if name not in _own_names(node)},
                **_integers(self.inner.get(spot(node, self.file), {})),
            },
        )
        result, self.result = self.result, None
        self.body(node)
        self.types, self.result = around, result
        return node

    def body(self, node: ast.FunctionDef) -> None:
        """Rewrite a definition; its parameters are narrowed where its body begins."""
        node.decorator_list, node.returns = [], None
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in arguments:
            argument.annotation = None
        documented = ast.get_docstring(node) is not None
        body = [part for each in node.body[documented:] for part in _statements(self.visit(each))]
        first = self.narrowing(body[0], [ast.Name(each.arg, ast.Store()) for each in arguments]) if body else []
        first = [_own_text(each.arg, body[0]) for each in arguments if each.arg not in self.types and body] + first
        opening = next((n for n, each in enumerate(body) if not isinstance(each, ast.Nonlocal)), 0)
        node.body = [*node.body[:documented], *body[:opening], *first, *body[opening:]]

    def narrowing(self, where: ast.AST, targets: list[ast.expr]) -> list[ast.stmt]:
        """Statements that narrow what was just bound; on the line of `where`, so that a debugger does not stop at them."""
        names = [name for name in sorted(assigned_names(targets)) if name in self.types]
        return [_narrow_name(name, self.types[name], where) for name in names]


def _integers(types: dict[str, Annotation]) -> dict[str, IntType | BoolType]:
    return {name: type for name, type in types.items() if isinstance(type, IntType | BoolType)}


def _own_names(node: ast.FunctionDef) -> set[str]:
    parameters = {each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    return (assigned_names(node.body) | parameters) - nonlocals(node)


def _narrow_name(name: str, type: IntType | BoolType, where: ast.AST) -> ast.stmt:
    return _on_line(ast.Assign([ast.Name(name, ast.Store())], _narrow(type, ast.Name(name, ast.Load()))), where)


def _on_line(made: ast.stmt, where: ast.AST) -> ast.stmt:
    for part in ast.walk(made):
        if isinstance(part, ast.expr | ast.stmt):
            ast.copy_location(part, where)
            part.end_lineno, part.end_col_offset = part.lineno, part.col_offset
    return made


def _own_text(name: str, where: ast.AST) -> ast.stmt:
    """A parameter keeps the text it was given."""
    return _on_line(ast.Assign([ast.Name(name, ast.Store())], _call("text", ast.Name(name, ast.Load()))), where)


def _shown(value: ast.expr, printed: bool) -> ast.expr:
    """As the kernel prints it: a bool is a number."""
    return ast.copy_location(_call("shown", value), value) if printed else value


def _constant(value: Any) -> ast.expr:
    return ast.Constant(value)


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(hidden(name), ast.Load()), list(arguments), [])


def _narrow(type: IntType | BoolType, value: ast.expr) -> ast.expr:
    """What a place of this type keeps; None stays None."""
    plain = isinstance(value, ast.BinOp) or (isinstance(value, ast.Constant) and isinstance(value.value, int))
    if not plain:
        return _call(f"to {type}", value)
    if isinstance(type, BoolType):
        return ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), value))
    mask = ast.Constant((1 << type.bits) - 1)
    if not type.signed:
        return ast.BinOp(value, ast.BitAnd(), mask)
    half = 1 << (type.bits - 1)
    moved = ast.BinOp(ast.BinOp(value, ast.Add(), ast.Constant(half)), ast.BitAnd(), mask)
    return ast.BinOp(moved, ast.Sub(), ast.Constant(half))


def transformed(function: FunctionType, source: Source, make: Callable[[], Transformer]) -> CodeType:
    """The function's code, changed as above; its free variables are globals."""
    node = copy.deepcopy(source.node)
    node.args.defaults, node.args.kw_defaults = [], [None] * len(node.args.kwonlyargs)
    make().body(node)
    ast.fix_missing_locations(node)
    module = compile(ast.Module([node], []), source.file, "exec", dont_inherit=True)
    code = next(each for each in module.co_consts if isinstance(each, CodeType))
    return code.replace(co_qualname=function.__code__.co_qualname)


def _statements(made: Any) -> list[ast.stmt]:
    return made if isinstance(made, list) else [made]
