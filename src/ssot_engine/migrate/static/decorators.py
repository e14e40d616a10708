"""What decorators make of a function, as far as that is known or declared."""

from __future__ import annotations

import ast
import builtins
import re
from enum import Enum
from typing import NamedTuple

from ssot_engine.migrate.static.answers import Answer
from ssot_engine.migrate.static.leads import Leads
from ssot_engine.migrate.static.outline import Function, Value


class Binds(Enum):
    """What a function of a class is given first, when it is called on an instance."""

    INSTANCE = "instance"
    CLASS = "class"
    NOTHING = "nothing"
    #: It is called by reading the attribute.
    READ = "read"


class Decorated(NamedTuple):
    """What the decorators of a function make of it."""

    binds: Binds = Binds.INSTANCE
    #: Whether it is called as it is written.
    is_kept: bool = True
    #: Whether calling it gives a context manager.
    is_block: bool = False


_BUILTINS = frozenset(dir(builtins))
_BINDS = {
    "builtins.staticmethod": Binds.NOTHING,
    "builtins.classmethod": Binds.CLASS,
    "abc.abstractstaticmethod": Binds.NOTHING,
    "abc.abstractclassmethod": Binds.CLASS,
    "builtins.property": Binds.READ,
    "abc.abstractproperty": Binds.READ,
    "functools.cached_property": Binds.READ,
    "types.DynamicClassAttribute": Binds.READ,
}
_BLOCKS = frozenset({"contextlib.contextmanager", "contextlib.asynccontextmanager"})
_TYPING = ("final", "override", "no_type_check", "deprecated", "type_check_only", "runtime_checkable")
_KEEPS = frozenset(
    {"abc.abstractmethod", "functools.cache", "functools.lru_cache", "functools.wraps", "warnings.deprecated"}
    | {f"{module}.{name}" for module in ("typing", "typing_extensions") for name in _TYPING}
)
_of_property = re.compile(r"\w+\.(setter|getter|deleter)").fullmatch
_gives_decorator = re.compile(r"Callable\[\[(\w+)\], \1\]").search


def home(leads: Leads, module: str, node: ast.expr) -> str:
    """Where a name in a module's code is defined, dotted; empty if that is not known."""
    lead = leads.expression(module, node)
    if lead.answer is Answer.MISSING and isinstance(node, ast.Name) and node.id in _BUILTINS:
        return f"builtins.{node.id}"
    return f"{lead.module}.{lead.name}" if lead.name else ""


def decorated(leads: Leads, module: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Decorated:
    """What a function in a module becomes."""
    made = Decorated()
    for decorator in node.decorator_list:
        if _of_property(ast.unparse(decorator)):
            return Decorated(binds=Binds.READ)
        made = _with(made, leads, module, decorator)
    return made


def _with(made: Decorated, leads: Leads, module: str, decorator: ast.expr) -> Decorated:
    is_called = isinstance(decorator, ast.Call)
    name = home(leads, module, decorator.func if isinstance(decorator, ast.Call) else decorator)
    if (binds := _BINDS.get(name)) is not None:
        return made._replace(binds=binds)
    if name in _BLOCKS:
        return made._replace(is_block=True)
    if name in _KEEPS or (name and _is_identity(leads, name, is_called=is_called)):
        return made
    return made._replace(is_kept=False)


def _is_identity(leads: Leads, name: str, *, is_called: bool) -> bool:
    """Whether a decorator is declared to give back what it was given."""
    lead, _ = leads.of(name)
    if not isinstance(lead.meaning, Function) or lead.meaning.node.returns is None:
        return False
    node = lead.meaning.node
    returns = ast.unparse(lead.meaning.node.returns)
    if is_called:
        match = _gives_decorator(returns)
        return match is not None and _is_variable(leads, lead.module, node, match[1])
    taken = [one.annotation for one in (*node.args.posonlyargs, *node.args.args)]
    is_same = len(taken) == 1 and taken[0] is not None and ast.unparse(taken[0]) == returns
    return is_same and _is_variable(leads, lead.module, node, returns)


def _is_variable(leads: Leads, module: str, node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    """Whether an annotation is a type variable."""
    if not name.isidentifier():
        return False
    if any(one.name == name for one in getattr(node, "type_params", ())):
        return True
    return isinstance(leads.name_in(module, name).meaning, Value) and name not in _BUILTINS
