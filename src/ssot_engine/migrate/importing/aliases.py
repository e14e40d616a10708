"""Local names of modules whose names went to several places: `import old.module as m`, `from old import m`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ssot_engine.migrate.bindings import Scope
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Rule
from ssot_engine.migrate.importing.plans import Item, Target, bound_as, new_module, new_modules
from ssot_engine.migrate.importing.uses import Use, head_of, is_missing, span_of, tell, uses_of
from ssot_engine.migrate.literals import chains_in, string_of, text_start
from ssot_engine.migrate.lookup import Became
from ssot_engine.migrate.words import scattered


def follow_alias(draft: Draft, scope: Scope, local: str, module: str, items: Sequence[Item]) -> None:
    """Let `items`, which bind an old module, bind the one new module that all uses of it need; or leave them."""
    uses = uses_of(draft, local, scope, module)
    moved = [use.became for use in uses if use.became is not None and _reads(draft, use, module)]
    in_types = _in_types(draft, local, module)
    every = [*moved, *(one.became for one in in_types)]
    modules = {new_module(one) for one in every if one.new is not None}
    is_one_thing = len(moved) == len(uses) and len(modules) == 1 and not _is_exported(draft, local, scope)
    is_only = scope.bound[local] == len(items) or not any(_is_renamed(one) for one in every)
    if is_one_thing and is_only and all(_can_follow(draft, one) for one in in_types):
        _bind(items, modules.pop())
        _rename(draft, uses)
        _rename_in_types(draft, in_types)
    else:
        _leave(draft, items, uses, modules or new_modules(draft.lookup, module))


def _reads(draft: Draft, use: Use, module: str) -> bool:
    """Whether a use reads a name of the module that moved, and is nothing else."""
    became = use.became
    if became is None or became.new is None or became.module != module or use.old_links < 2 or is_missing(draft, use):
        return False
    return isinstance(use.links[1].ctx, ast.Load) and span_of(draft, use) is not None


class _InType(NamedTuple):
    """A name that is taken from the module in a type which is written as a string."""

    dotted: str
    became: Became
    #: Where its last part stands; None if it is not written there as it is.
    start: int | None


def _in_types(draft: Draft, local: str, module: str) -> list[_InType]:
    return [
        found
        for text in draft.bindings.strings
        if draft.bindings.is_annotation(text) and local in string_of(text)
        for found in _in_type(draft, text, local, module)
    ]


def _in_type(draft: Draft, text: ast.Constant, local: str, module: str) -> Iterator[_InType]:
    begin = text_start(draft.source, text)
    for dotted, offset in chains_in(string_of(text)):
        first, _, rest = dotted.partition(".")
        became = draft.lookup.old_name(f"{module}.{rest}") if first == local else None
        if became is not None:
            start = None if begin is None or offset is None else begin + offset + len(f"{local}.".encode())
            yield _InType(f"{module}.{rest}", became, start)


def _can_follow(draft: Draft, one: _InType) -> bool:
    if one.became.new is None or draft.is_missing(head_of(one.became)):
        return False
    return one.start is not None or not _is_renamed(one.became)


def _rename_in_types(draft: Draft, in_types: Iterable[_InType]) -> None:
    for one in in_types:
        if one.start is not None and _is_renamed(one.became):
            new = head_of(one.became).rpartition(".")[2]
            draft.edit(one.start, one.start + len(one.became.name.encode()), new.encode())
            draft.found(one.start, Rule.STRING, one.dotted, new=one.became.new)


def _is_renamed(became: Became) -> bool:
    return became.new is not None and head_of(became).rpartition(".")[2] != became.name


def _is_exported(draft: Draft, local: str, scope: Scope) -> bool:
    """Whether it may be in `__all__`: others may use it."""
    has_list = scope.is_module and draft.bindings.names("__all__")
    return bool(has_list) and any(text.value == local for text in draft.bindings.strings)


def _bind(items: Iterable[Item], new: str) -> None:
    for item in items:
        is_from = bool(item.own[0].name)
        item.become(bound_as(new, item.local) if is_from else Target(new, "", item.local))


def _rename(draft: Draft, uses: Iterable[Use]) -> None:
    for use in uses:
        span = span_of(draft, use)
        if use.became is not None and span is not None and _is_renamed(use.became):
            draft.edit(
                span[1] - len(use.became.name.encode()), span[1], head_of(use.became).rpartition(".")[2].encode()
            )
            draft.found(use.links[0], Rule.USE, use.dotted, new=use.became.new)


def _leave(draft: Draft, items: Iterable[Item], uses: Iterable[Use], modules: Iterable[str]) -> None:
    for item in items:
        item.leave(Rule.SCATTERED_MODULE, scattered(modules))
    for use in uses:
        if use.became is not None:
            tell(draft, use)
