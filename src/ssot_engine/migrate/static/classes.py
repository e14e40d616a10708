"""Definitions of functions and classes, with what they inherit, as far as their sources tell."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ssot_engine.migrate.literals import dotted_name
from ssot_engine.migrate.static.ancestry import (
    OF_EVERY_CLASS,
    UNKNOWN,
    Ancestry,
    blurred,
    is_coroutine,
    known,
    of_metaclass,
    uncertain,
)  # fmt: skip
from ssot_engine.migrate.static.annotations import class_in, unquoted
from ssot_engine.migrate.static.answers import Answer, Definition, Parameters
from ssot_engine.migrate.static.decorators import Binds, decorated, home
from ssot_engine.migrate.static.leads import Lead, Leads
from ssot_engine.migrate.static.outline import Class, Function, Value
from ssot_engine.migrate.static.signatures import Field, fields_of, is_of_instances, of_fields, of_function

_CLASS_DECORATORS = frozenset(
    {"functools.total_ordering", "enum.unique", "enum.verify", "warnings.deprecated", "builtins.staticmethod"}
    | {f"{module}.{name}" for module in ("typing", "typing_extensions")
       for name in ("final", "runtime_checkable", "runtime", "deprecated", "dataclass_transform")}
)  # fmt: skip
_ABSTRACT = frozenset({"Protocol", "ABC", "ABCMeta"})
_TO_MAKE = ("__new__", "__init_subclass__", "__class_getitem__")


class Definitions:
    """Makes definitions of what leads lead to."""

    def __init__(self, leads: Leads) -> None:
        self._leads = leads
        self._made: dict[tuple[str, str], Ancestry] = {}

    def of(self, lead: Lead) -> Definition | None:
        """The definition of a function or a class; None if it is neither, or not known."""
        if lead.answer is not Answer.FOUND:
            return None
        if isinstance(lead.meaning, Function):
            return self._function(lead.module, lead.name, lead.meaning)
        if isinstance(lead.meaning, Class):
            return self._class(lead.module, lead.name, lead.meaning)
        return None

    # ------------------------------------------------------------------- functions

    def _function(self, module: str, name: str, function: Function, *, in_class: bool = False) -> Definition:
        made = decorated(self._leads, module, function.node)
        if not made.is_kept or made.binds is Binds.READ:
            return Definition(module=module, name=name)
        is_given = in_class and made.binds is not Binds.NOTHING
        is_async = not made.is_block and self._gives_coroutine(module, function)
        return Definition(
            module=module,
            name=name,
            is_async=is_async,
            takes_instance=in_class and made.binds is Binds.INSTANCE and function.node.name not in _TO_MAKE,
            parameters=of_function(function.node, drops_first=is_given),
            returns="" if made.is_block else _returned(function, is_async=is_async),
        )

    def _gives_coroutine(self, module: str, function: Function) -> bool:
        if function.facts.yields:
            return False
        if isinstance(function.node, ast.AsyncFunctionDef):
            return True
        returns = _unquoted(function.node.returns)
        if returns is None:
            return False
        if is_coroutine(home(self._leads, module, returns)):
            return True
        lead = self._leads.expression(module, returns)
        return isinstance(lead.meaning, Class) and self._ancestry(lead.module, lead.name, lead.meaning).is_coroutine

    # ------------------------------------------------------------------- classes

    def _class(self, module: str, name: str, meaning: Class) -> Definition:
        made = self._ancestry(module, name, meaning)
        return Definition(
            module=module,
            name=name,
            is_class=True,
            is_abstract=self._is_abstract(module, meaning.node),
            parameters=None if made.has_odd_calls else made.parameters,
            attributes={**OF_EVERY_CLASS, **made.attributes},
            is_open=made.is_open,
        )

    def _is_abstract(self, module: str, node: ast.ClassDef) -> bool:
        metaclass = [one.value for one in node.keywords if one.arg == "metaclass"]
        parts = [_unquoted(part) or part for part in (*node.bases, *metaclass)]
        # A copy of `Protocol` for older interpreters is called the same, wherever it is from.
        names = [name for part in parts for name in (dotted_name(part) or "", home(self._leads, module, part))]
        return any(name.rpartition(".")[2] in _ABSTRACT for name in names)

    def _ancestry(self, module: str, name: str, meaning: Class) -> Ancestry:
        key = module, name
        if key not in self._made:
            # A class that would derive from itself.
            self._made[key] = UNKNOWN
            self._made[key] = _Builder(self, self._leads, module, name, meaning).ancestry()
        return self._made[key]

    def base(self, module: str, node: ast.expr) -> Ancestry:
        """What a class inherits from one of its bases."""
        node = _unquoted(node) or node
        found = known(home(self._leads, module, node))
        if found is not None:
            return found
        lead = self._leads.expression(module, node)
        if lead.answer is Answer.FOUND and isinstance(lead.meaning, Class):
            return self._ancestry(lead.module, lead.name, lead.meaning)
        return UNKNOWN

    def member(self, module: str, class_name: str, name: str, meaning: object) -> Definition:
        """The definition of what a class body binds."""
        dotted = f"{class_name}.{name}"
        if isinstance(meaning, Function):
            return self._function(module, dotted, meaning, in_class=True)
        if isinstance(meaning, Class):
            return self._class(module, dotted, meaning)
        if isinstance(meaning, Value) and meaning.alias is not None:
            lead = self._leads.expression(module, meaning.alias)
            if isinstance(lead.meaning, Function):
                return self._function(lead.module, lead.name, lead.meaning, in_class=True)
        return Definition(module=module, name=dotted)


class _Builder:
    """One class, put together of its body and its bases."""

    def __init__(self, definitions: Definitions, leads: Leads, module: str, name: str, meaning: Class) -> None:
        self._definitions = definitions
        self._leads = leads
        self._module = module
        self._name = name
        self._node = meaning.node
        self._body = meaning.body
        self._bases = [definitions.base(module, base) for base in meaning.node.bases]
        # Of the class statement, or of `dataclass(...)`.
        self._options = _keywords(meaning.node.keywords)
        self._is_dataclass = False
        self._by_metaclass = self._metaclass()
        self._is_odd = any(one.is_odd for one in self._bases) or self._by_metaclass is None or self._is_in_stub()
        for decorator in self._node.decorator_list:
            self._decorate(decorator)
        inherited = {one.made_of for one in self._bases if one.made_of}
        self._made_of = "dataclass" if self._is_dataclass else next(iter(inherited), "")

    def _metaclass(self) -> Mapping[str, Definition] | None:
        """What the class has by its metaclass; None if that is not known."""
        node = next((one.value for one in self._node.keywords if one.arg in ("metaclass", None)), None)
        return {} if node is None else of_metaclass(home(self._leads, self._module, node))

    def _is_in_stub(self) -> bool:
        outline = self._leads.outline(self._module)
        return outline is not None and outline.is_stub

    def _decorate(self, decorator: ast.expr) -> None:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = home(self._leads, self._module, called)
        if name == "dataclasses.dataclass":
            self._is_dataclass = True
            self._options = _keywords(decorator.keywords if isinstance(decorator, ast.Call) else ())
        elif name not in _CLASS_DECORATORS:
            self._is_odd = True

    def _is_set(self, option: str, *, otherwise: bool = False) -> bool:
        value = self._options.get(option)
        return bool(value.value) if isinstance(value, ast.Constant) else otherwise

    def ancestry(self) -> Ancestry:
        """What the class has and gives."""
        own, is_open = self._own()
        fields = self._fields()
        parameters, is_plain = self._parameters(own, fields)
        return Ancestry(
            attributes=uncertain(self._inherited(own)) if self._is_in_stub() else self._inherited(own),
            is_open=is_open or self._is_odd or any(one.is_open for one in self._bases),
            parameters=parameters,
            is_plain=is_plain,
            has_odd_calls=self._has_odd_calls(),
            is_odd=self._is_odd,
            made_of=self._made_of,
            fields=tuple(fields),
            is_coroutine=any(one.is_coroutine for one in self._bases),
        )

    def _has_odd_calls(self) -> bool:
        is_enum = self._by_metaclass is not None and "__members__" in self._by_metaclass
        return self._is_odd or is_enum or any(one.has_odd_calls for one in self._bases)

    # ------------------------------------------------------------------- attributes

    def _own(self) -> tuple[dict[str, Definition], bool]:
        """The attributes of the class itself, and whether it may have more."""
        own = {name: self._member(name) for name in self._body.names}
        slots = self._slots()
        on_instances, on_class = self._stored()
        outer = self._leads.outline(self._module)
        from_outside = set() if outer is None else outer.set_on.get(self._name, set())
        for name in self._declared(slots or frozenset()):
            own[name] = self._blank(name, is_of_instances=True)
        blanks = [
            *((name, self._blank(name)) for name in (*(slots or ()), *from_outside) if name is not None),
            *((name, self._blank(name, is_certain=False)) for name in on_class if name is not None),
            *((name, self._blank(name, is_of_instances=True)) for name in on_instances if name is not None),
        ]
        for name, blank in blanks:
            own.setdefault(name, blank)
        hides = slots is None or None in on_instances | on_class | from_outside
        own = {self._mangled(name): one for name, one in own.items()}
        known = own.keys() | self._body.for_checkers.keys()
        return own, hides or not known.isdisjoint(("__getattr__", "__getattribute__"))

    def _mangled(self, name: str) -> str:
        is_private = name.startswith("__") and not name.endswith("__")
        return f"_{self._node.name.lstrip('_')}{name}" if is_private else name

    def _slots(self) -> frozenset[str] | None:
        """Names that the class has for its instances' values; None if its source does not spell them."""
        slots = self._body.lists.get("__slots__", frozenset())
        makes_them = self._made_of in ("struct", "tuple") or self._is_set("slots")
        return slots.union(self._body.declared) if slots is not None and makes_them else slots

    def _declared(self, slots: frozenset[str]) -> list[str]:
        """Names that only instances have, as they are declared without being bound in the class."""
        return [
            name
            for name, one in self._body.declared.items()
            if name not in slots and (name not in self._body.names or (self._is_dataclass and is_of_instances(one)))
        ]

    def _member(self, name: str) -> Definition:
        bound = self._body.names[name]
        meaning = bound.meanings[0] if len(bound.meanings) == 1 else None
        if isinstance(meaning, Value) and isinstance(meaning.alias, ast.Name):
            # Another name of something in the same class.
            same = self._body.names.get(meaning.alias.id)
            meaning = same.meanings[0] if same is not None and len(same.meanings) == 1 else meaning
        found = self._definitions.member(self._module, self._name, name, meaning)
        # An unknown metaclass may take out what is no function.
        is_certain = bound.is_certain and not (self._is_odd and isinstance(meaning, Value))
        return found if is_certain else msgspec.structs.replace(found, is_certain=False, parameters=None)

    def _blank(self, name: str, *, is_of_instances: bool = False, is_certain: bool = True) -> Definition:
        return Definition(
            module=self._module, name=f"{self._name}.{name}", is_of_instances=is_of_instances, is_certain=is_certain
        )

    def _stored(self) -> tuple[set[str | None], set[str | None]]:
        """What the class's functions set on instances, and on the class."""
        on_instances: set[str | None] = set()
        on_class: set[str | None] = set()
        for function in _functions(self._body.names.values()):
            binds = decorated(self._leads, self._module, function.node).binds
            if binds is Binds.CLASS or function.node.name in _TO_MAKE:
                on_class |= function.facts.stores
                on_instances |= function.facts.stores_elsewhere
            elif binds is Binds.NOTHING:
                on_instances |= function.facts.stores | function.facts.stores_elsewhere
            else:
                on_instances |= function.facts.stores
        return on_instances, on_class

    def _inherited(self, own: Mapping[str, Definition]) -> dict[str, Definition]:
        attributes = dict(own)
        is_sure = True
        for base in (*self._bases, Ancestry(self._by_metaclass or {})):
            for name, one in base.attributes.items():
                mine = attributes.get(name)
                if mine is None:
                    # An unknown base further left may have one of that name.
                    attributes[name] = one if is_sure else blurred(one)
                elif mine.is_of_instances and not one.is_of_instances:
                    attributes[name] = msgspec.structs.replace(mine, is_of_instances=False)
            is_sure = is_sure and not base.is_odd
        return attributes

    # ------------------------------------------------------------------- calls

    def _fields(self) -> list[Field]:
        if not self._made_of:
            return []
        own = fields_of(list(self._body.declared.values()), all_keywords=self._is_set("kw_only"))
        fields = {one.name: one for base in reversed(self._bases) for one in base.fields}
        fields.update((one.name, one) for one in own)
        return list(fields.values())

    def _parameters(self, own: Mapping[str, Definition], fields: list[Field]) -> tuple[Parameters | None, bool]:
        """What a call takes, and whether nothing has said so."""
        made = [own[name].parameters for name in ("__new__", "__init__") if name in own]
        if made:
            is_passed_on = made[0] is not None and made[0].takes_more and made[0].takes_more_keywords
            return (made[-1] if len(made) == 1 or is_passed_on else None), False
        is_made = self._is_dataclass and self._is_set("init", otherwise=True)
        if is_made or self._made_of in ("struct", "tuple"):
            return of_fields(fields), False
        if any(
            home(self._leads, self._module, _unquoted(base) or base) == "typing.Protocol" for base in self._node.bases
        ):
            return None, True
        said = next((base for base in self._bases if not base.is_plain), None)
        return (Parameters(), True) if said is None else (said.parameters, False)


def _keywords(keywords: Iterable[ast.keyword]) -> dict[str, ast.expr]:
    return {one.arg: one.value for one in keywords if one.arg is not None}


def _functions(bounds: Iterable[object]) -> Iterator[Function]:
    for bound in bounds:
        yield from (one for one in getattr(bound, "meanings", ()) if isinstance(one, Function))


def _returned(function: Function, *, is_async: bool) -> str:
    """The class that a function's result is declared to be of."""
    returns = None if function.is_overloaded else function.node.returns
    if is_async is isinstance(function.node, ast.AsyncFunctionDef):
        return class_in(returns)
    match unquoted(returns):
        # Coroutine[…, …, X] of a function that gives one without being async.
        case ast.Subscript(slice=ast.Tuple(elts=[_, _, result])):
            return class_in(result)
    return ""


def _unquoted(node: ast.expr | None) -> ast.expr | None:
    """An annotation or base without quotes, and without what stands in brackets."""
    node = unquoted(node)
    return node.value if isinstance(node, ast.Subscript) else node
