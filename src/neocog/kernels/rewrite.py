"""A forward written in Python, with its convolutions and what follows them handed to the plan.

The source of a forward is read, and `F.max_pool2d(F.relu(self.conv1(x)), 2)` in it, on one line or on several, becomes
`run([self.conv1, relu, pool], x)`. All else stays as it is written: branches, loops, dropout, what is printed or
drawn at random. (A trace would keep one way through it, with the values of that moment.)
"""

from __future__ import annotations
import __future__

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from neocog.kernels.plan import match, pays, run

_RELUS: tuple[object, ...] = (F.relu, F.relu_, torch.relu, torch.relu_)
_POOLS: tuple[object, ...] = (F.max_pool2d, torch.max_pool2d)
_RELU = nn.ReLU()
_POOL_ARGUMENTS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")

# Names that nobody's source has.
_RUN, _LAYER, _OUTER = "__neocog_run__", "__neocog_layer{}__", "__neocog_outer__"

# In a function with one of these, a variable may be seen between two statements.
_SEES_VARIABLES = (ast.Try, ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.Await)
_SEES_ALL_VARIABLES = frozenset({"locals", "vars", "eval", "exec"})
_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)


class Stage(NamedTuple):
    """One call of a chain: of a layer, at `path` within the module, or of a function, for which `layer` stands."""

    call: ast.Call
    argument: ast.expr
    name: str
    path: ast.expr | None
    layer: nn.Module | None

    def layer_of(self, module: nn.Module) -> Any:
        """Give the layer; None where the module has nothing at that path."""
        return self.layer if self.path is None else _follow(self.path, module)


class Rewritten(NamedTuple):
    """A forward that hands its chains to the plan, and the calls of each chain."""

    function: Callable[..., Any]
    chains: list[list[Stage]]


def rewrite(module: nn.Module) -> Rewritten | None:
    """Rewrite the forward of a module's class; None where there is nothing to fuse, or the source is not at hand."""
    forward = type(module).forward
    if not isinstance(forward, FunctionType) or not forward.__code__.co_argcount:
        return None
    tree = _source(forward)
    if tree is None:
        return None
    writer = _Writer(tree, forward, module)
    tree.body = [writer.visit(statement) for statement in writer.joined(tree.body)]
    if not writer.chains:
        return None
    return Rewritten(_function(tree, forward, {_RUN: run} | writer.layers), writer.chains)


def _source(forward: FunctionType) -> ast.FunctionDef | None:
    """Parse the source of a function; None where it is not that of the code that runs."""
    try:
        statements = ast.parse(textwrap.dedent(inspect.getsource(forward))).body
    except (OSError, TypeError, SyntaxError):
        return None
    tree = statements[0]
    if not isinstance(tree, ast.FunctionDef) or tree.decorator_list or getattr(tree, "type_params", None):
        return None
    if tree.name != forward.__name__:
        return None
    ast.increment_lineno(tree, forward.__code__.co_firstlineno - tree.lineno)
    # A file may have been changed since it was imported. Calls of an imported module's functions compile otherwise than
    # methods; whether the compiler saw the imports is not known, it does not in a notebook with a cell of imports.
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    modules = {name for name in names if isinstance(forward.__globals__.get(name), ModuleType)}
    codes = (_code(tree, forward, forward.__code__.co_freevars, imports) for imports in (modules, ()))
    return tree if any(_same(code, forward.__code__) for code in codes) else None


def _same(one: CodeType, other: CodeType) -> bool:
    names = ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars")
    if any(getattr(one, name) != getattr(other, name) for name in names) or len(one.co_consts) != len(other.co_consts):
        return False
    for mine, theirs in zip(one.co_consts, other.co_consts, strict=True):
        if isinstance(mine, CodeType) and isinstance(theirs, CodeType):
            if not _same(mine, theirs):
                return False
        elif type(mine) is not type(theirs) or mine != theirs:
            return False
    return True


def _code(tree: ast.FunctionDef, forward: FunctionType, outer: Iterable[str], imports: Iterable[str] = ()) -> CodeType:
    """Compile a function whose names `outer` belong to a function around it, in a file that imports `imports`."""
    names = [ast.arg(name) for name in outer]
    around = ast.FunctionDef(_OUTER, ast.arguments([], names, None, [], [], None, []), [tree], [])
    module = ast.fix_missing_locations(ast.Module([*(ast.Import([ast.alias(name)]) for name in imports), around], []))
    flags = forward.__code__.co_flags & _FUTURE
    code: CodeType = compile(module, forward.__code__.co_filename, "exec", flags, dont_inherit=True)
    for name in (_OUTER, tree.name):
        code = next(item for item in code.co_consts if isinstance(item, CodeType) and item.co_name == name)
    return code


def _function(tree: ast.FunctionDef, forward: FunctionType, names: Mapping[str, Any]) -> FunctionType:
    """Make a function that is `forward` in all but its code, which knows `names` besides."""
    cells = dict(zip(forward.__code__.co_freevars, forward.__closure__ or (), strict=True))
    cells |= {name: CellType(value) for name, value in names.items()}
    code = _code(tree, forward, cells)
    closure = tuple(cells[name] for name in code.co_freevars)
    made = FunctionType(code, forward.__globals__, forward.__name__, forward.__defaults__, closure)
    made.__kwdefaults__, made.__qualname__ = forward.__kwdefaults__, forward.__qualname__
    return made


class _Writer(ast.NodeTransformer):
    """Replaces the chains in the statements of one forward, as the layers of `module` are now."""

    def __init__(self, tree: ast.FunctionDef, forward: FunctionType, module: nn.Module) -> None:
        code = forward.__code__
        self.module, self.globals, self.own = module, forward.__globals__, code.co_varnames[0]
        self.locals = {*code.co_varnames, *code.co_freevars, *code.co_cellvars}
        self.chains: list[list[Stage]] = []
        self.layers: dict[str, nn.Module] = {}
        nodes = list(ast.walk(tree))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        self.uses = Counter(node.id for node in names if not isinstance(node.ctx, ast.Store))
        self.joins = not any(isinstance(node, _SEES_VARIABLES) for node in nodes) and not (
            _SEES_ALL_VARIABLES & self.uses.keys()
        )
        self.fixed = all(isinstance(node.ctx, ast.Load) for node in names if node.id == self.own)

    def joined(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Join `x = self.conv1(x)` with a following `x = F.relu(x)`, where nobody sees what is between."""
        found: list[ast.stmt] = []
        for statement in statements:
            if isinstance(statement, ast.If | ast.For | ast.While | ast.With):
                statement.body = self.joined(statement.body)
            if isinstance(statement, ast.If | ast.For | ast.While):
                statement.orelse = self.joined(statement.orelse)
            if found and self._join(found[-1], statement):
                found.pop()
            found.append(statement)
        return found

    def _join(self, first: ast.stmt, second: ast.stmt) -> bool:
        """Put the value of `first` into `second` in place of its name, where it is seen nowhere else."""
        if not (self.joins and isinstance(first, ast.Assign) and isinstance(second, ast.Assign | ast.Return)):
            return False
        name = _single_name(first)
        if name is None or second.value is None or self._stage(first.value) is None:
            return False
        if isinstance(second, ast.Assign) and name != _single_name(second) and self.uses[name] != 1:
            return False
        if sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(second.value)) != 1:
            return False
        call = second.value
        while isinstance(inner := _argument(call), ast.Call):
            call = inner
        if not isinstance(inner, ast.Name) or inner.id != name or self._stage(call) is None:
            return False
        _put(call, first.value)
        return True

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Leave functions within the function alone: its names may mean something else there."""
        return node

    visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = visit_FunctionDef  # type: ignore[assignment]  # noqa: N815

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace the chains in calls one within the other."""
        stages: list[Stage] = []
        inner: ast.expr = node
        while (stage := self._stage(inner)) is not None:
            stages.insert(0, stage)
            inner = stage.argument
        if not stages:
            return self.generic_visit(node)
        value: ast.expr = self.visit(inner)
        layers = [stage.layer_of(self.module) for stage in stages]
        place = 0
        while place < len(stages):
            block = match(layers, place, lambda layer: True)
            if block is not None and pays(block):
                chain = stages[place : place + block.layers]
                value = self._planned(chain, value)
                self.chains.append(chain)
                place += block.layers
            else:
                _put(stages[place].call, value)
                value = stages[place].call
                place += 1
        return value

    def _planned(self, chain: list[Stage], x: ast.expr) -> ast.expr:
        """Write `run([...], x)`."""
        layers: list[ast.expr] = []
        for stage in chain:
            name = _LAYER.format(len(self.layers))
            if stage.layer is not None:
                self.layers[name] = stage.layer
            layers.append(stage.path or ast.Name(name, ast.Load()))
        call = ast.Call(ast.Name(_RUN, ast.Load()), [ast.List(layers, ast.Load()), x], [])
        ast.copy_location(call, chain[0].call)
        return ast.fix_missing_locations(call)

    def _stage(self, node: ast.AST) -> Stage | None:
        """Read a call that can be part of a chain."""
        argument = _argument(node)
        if not isinstance(node, ast.Call) or argument is None:
            return None
        if not node.args:
            return Stage(node, argument, "relu", None, _RELU)
        if self.fixed and _is_path(node.func, self.own):
            alone = len(node.args) == 1 and not node.keywords
            return Stage(node, argument, ast.unparse(node.func).partition(".")[2], node.func, None) if alone else None
        function = self._global(node.func)
        if any(function is relu for relu in _RELUS):
            return Stage(node, argument, "relu", None, _RELU) if _constants(node, ("inplace",)) is not None else None
        settings = _constants(node, _POOL_ARGUMENTS) if any(function is pool for pool in _POOLS) else None
        if not settings or "kernel_size" not in settings:
            return None
        return Stage(node, argument, "maxpool", None, nn.MaxPool2d(**settings))

    def _global(self, node: ast.expr) -> object:
        """Find what `F.relu` or `torch.nn.functional.relu` stands for; None where it is no function of a module."""
        if isinstance(node, ast.Name):
            return None if node.id in self.locals else self.globals.get(node.id)
        if isinstance(node, ast.Attribute):
            home = self._global(node.value)
            return getattr(home, node.attr, None) if isinstance(home, ModuleType) else None
        return None


def _argument(node: ast.AST) -> ast.expr | None:
    """Give x of `f(x, ...)` and of `x.relu()`; None of anything else."""
    if not isinstance(node, ast.Call) or any(isinstance(item, ast.Starred) for item in node.args):
        return None
    if node.args:
        return node.args[0] if isinstance(node.func, ast.Name | ast.Attribute | ast.Subscript) else None
    method = node.func if isinstance(node.func, ast.Attribute) and not node.keywords else None
    return method.value if method is not None and method.attr in ("relu", "relu_") else None


def _put(call: ast.expr, value: ast.expr) -> None:
    """Put another expression in the place of `_argument`."""
    assert isinstance(call, ast.Call)
    if call.args:
        call.args[0] = value
    else:
        assert isinstance(call.func, ast.Attribute)
        call.func.value = value


def _constants(call: ast.Call, names: tuple[str, ...]) -> dict[str, Any] | None:
    """Give what stands behind the first argument, by name; None where it is no constant or has another name."""
    given = list(zip(names, call.args[1:], strict=False)) + [(item.arg or "", item.value) for item in call.keywords]
    if len(call.args) - 1 > len(names) or any(name not in names for name, _ in given):
        return None
    try:
        return {name: ast.literal_eval(value) for name, value in given}
    except ValueError:
        return None


def _single_name(statement: ast.Assign) -> str | None:
    target = statement.targets[0] if len(statement.targets) == 1 else None
    return target.id if isinstance(target, ast.Name) else None


def _is_path(node: ast.expr, own: str) -> bool:
    """Whether an expression is such as `self.conv1`, `self.block.conv` or `self.convs[0]`."""
    if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
        return False
    if not isinstance(node, ast.Attribute | ast.Subscript):
        return False
    return (isinstance(node.value, ast.Name) and node.value.id == own) or _is_path(node.value, own)


def _follow(path: ast.expr, module: nn.Module) -> Any:
    """Give what such an expression stands for; None where there is nothing."""
    if isinstance(path, ast.Attribute):
        return getattr(_follow(path.value, module), path.attr, None)
    if isinstance(path, ast.Subscript) and isinstance(path.slice, ast.Constant):
        try:
            return _follow(path.value, module)[path.slice.value]
        except (TypeError, LookupError):
            return None
    return module
