"""Redirects: a finder that answers imports of old modules from the table of old names.

A module moved whole is an alias: after its import `sys.modules[old] is new`, so only its first import in a process can
warn and be counted. A module whose names went to several places stands in for the old one and looks a name up each
time it is asked, so every use warns and is counted.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ssot_engine.errors import ConfigError, SsotEngineError
from ssot_engine.legacy.census import Counting
from ssot_engine.legacy.deprecation import Notice
from ssot_engine.legacy.former import FormerModule, FormerName, Kind, Table
from ssot_engine.legacy.table import shipped_table

__all__ = ["NoEquivalent", "install_redirects", "is_redirected", "uninstall_redirects"]


class NoEquivalent(SsotEngineError, ImportError):
    """Nothing answers an old name. `door` is the name, `instead` what to do."""

    def __init__(self, door: str, reason: str, instead: str) -> None:
        super().__init__(door, reason, instead)
        self.door = door
        self.reason = reason
        self.instead = instead

    def __str__(self) -> str:
        return f"{self.door} has no equivalent in ssot-engine: {self.reason}; instead, {self.instead}"


def install_redirects(*tables: Table) -> None:
    """Answer imports of the old modules in these tables, or of the shipped one if none is given.

    May be called again: further tables add to those that are there, and of two entries for one name the later wins.

    Raises:
        ConfigError: a file that a redirect replaces has been imported already.
    """
    with _lock:
        _finder.add(tables or (shipped_table(),))
        # First, or the host's own file of an old name would be found before.
        sys.meta_path[:] = [_finder, *(finder for finder in sys.meta_path if finder is not _finder)]


def uninstall_redirects() -> None:
    """Answer no old import any more, and forget the modules that stood in for old ones."""
    with _lock:
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _finder]
        _finder.clear()


def is_redirected(module: str) -> bool:
    """Whether imports of this module, or of one below it, are answered."""
    return _finder.knows(module)


class RedirectFinder(MetaPathFinder):
    """Finds old modules, whatever the other finders know of them."""

    def __init__(self) -> None:
        self._modules: dict[str, FormerModule] = {}
        self._parents: frozenset[str] = frozenset()
        #: Old packages that are aliases by now, and what they are aliases of: what is below them moved with them.
        self._aliases: dict[str, FormerName] = {}
        #: What this finder put into `sys.modules`.
        self._served: dict[str, ModuleType] = {}
        self._made: dict[str, ModuleType] = {}

    # ------------------------------------------------------------------- what there is

    def add(self, tables: Sequence[Table]) -> None:
        """Answer these tables too."""
        modules = dict(self._modules)
        for table in tables:
            for name, former in table.modules.items():
                modules[name] = _merged(modules.get(name), former)
        self._check_in_time(modules)
        for name in [*self._made, *self._served]:
            if modules.get(name) != self._modules.get(name):
                # It stands for less than is known now; the next import makes it anew.
                self._forget_from(name)
        self._modules = modules
        self._parents = frozenset(parent for name in modules for parent in _above(name))

    def _check_in_time(self, modules: dict[str, FormerModule]) -> None:
        for name, former in modules.items():
            loaded = sys.modules.get(name)
            if loaded is None or former.yields_to_host or self._ours.get(name) is loaded:
                continue
            raise ConfigError(
                f"{name!r} cannot be redirected, it is imported already from {getattr(loaded, '__file__', None)!r}; "
                "call install_redirects() before anything imports it"
            )

    def knows(self, name: str) -> bool:
        """Whether the module, or one below it, is old."""
        return name in self._modules or name in self._parents

    def clear(self) -> None:
        """Answer nothing, and take what was served out of `sys.modules`."""
        self._modules, self._parents = {}, frozenset()
        for name in self._ours:
            self._forget(name)
        self._aliases.clear()

    def invalidate_caches(self) -> None:
        """Let go of packages that were made because nobody had them, where somebody has them by now."""
        for name in list(self._made):
            above = name.rpartition(".")[0]
            if above in self._made:
                continue
            path = vars(sys.modules[above]).get("__path__") if above in sys.modules else None
            if (not above or path is not None) and self._elsewhere(name, path, None) is not None:
                self._forget_from(name)

    @property
    def _ours(self) -> dict[str, ModuleType]:
        return {**self._made, **self._served}

    def _forget_from(self, name: str) -> None:
        """Forget a module and those below it."""
        for one in self._ours:
            if f"{one}.".startswith(f"{name}."):
                self._forget(one)

    def _forget(self, name: str) -> None:
        module = self._ours[name]
        self._served.pop(name, None)
        self._made.pop(name, None)
        if sys.modules.get(name) is module:
            del sys.modules[name]
        above, _, leaf = name.rpartition(".")
        if (parent := sys.modules.get(above)) is not None and vars(parent).get(leaf) is module:
            delattr(parent, leaf)

    # ------------------------------------------------------------------- what is asked

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The redirect of an old module, or a package for one to stand in; None for anything else."""
        if (former := self._modules.get(fullname)) is not None:
            return self._redirect(former, path, target)
        if fullname in self._parents:
            return self._parent(fullname, path, target)
        if self._aliases and (above := self._aliases.get(fullname.rpartition(".")[0])) is not None:
            return self._below_alias(fullname, above)
        return None

    def _redirect(self, former: FormerModule, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec:
        needs_real = former.whole is None or former.yields_to_host
        real = self._elsewhere(former.module, path, target) if needs_real else None
        if former.yields_to_host and real is not None:
            return real
        if former.whole is not None:
            return ModuleSpec(former.module, _AliasLoader(self, former.whole))
        spec = ModuleSpec(former.module, _NamesLoader(self, former))
        # The other modules of a package of the host stay where they are.
        spec.submodule_search_locations = None if real is None else real.submodule_search_locations
        if former.module in self._parents and spec.submodule_search_locations is None:
            spec.submodule_search_locations = []
        return spec

    def _parent(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec:
        real = self._elsewhere(fullname, path, target)
        return real or ModuleSpec(fullname, _ParentLoader(self), is_package=True)

    def _below_alias(self, fullname: str, above: FormerName) -> ModuleSpec | None:
        new = f"{above.replacement}.{fullname.rpartition('.')[2]}"
        if find_spec(new) is None:
            return None
        former = FormerName(
            module=fullname, name="", kind=above.kind, reason=above.reason, replacement=new,
            since=above.since, removed_in=above.removed_in,
        )  # fmt: skip
        return ModuleSpec(fullname, _AliasLoader(self, former))

    def _elsewhere(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """What the other finders have under this name."""
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)) is not None:
                return spec
        return None

    # ------------------------------------------------------------------ what was loaded

    def made(self, module: ModuleType) -> None:
        """A package was made for redirects to stand in."""
        self._made[module.__name__] = module

    def served(self, old: str, module: ModuleType) -> None:
        """`module` answers the old name."""
        self._served[old] = module

    def aliased(self, former: FormerName) -> None:
        """An old module is another one now, and so are those below it."""
        self._aliases[former.module] = former


_finder = RedirectFinder()
_lock = threading.Lock()


def _merged(known: FormerModule | None, added: FormerModule) -> FormerModule:
    """The later entry, with the names that only the earlier one has."""
    if known is None or known.whole is not None or added.whole is not None:
        return added
    return FormerModule(module=added.module, names={**known.names, **added.names}, yields_to_host=added.yields_to_host)


def _above(name: str) -> list[str]:
    parts = name.split(".")[:-1]
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


# ------------------------------------------------------------------------ loaders


class _ParentLoader(Loader):
    """Loads a package that holds nothing but redirects."""

    def __init__(self, finder: RedirectFinder) -> None:
        self._finder = finder

    def exec_module(self, module: ModuleType) -> None:
        self._finder.made(module)


class _AliasLoader(Loader):
    """Loads an old module by importing the new one in its place."""

    def __init__(self, finder: RedirectFinder, former: FormerName) -> None:
        self._finder = finder
        self._former = former

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Alias(spec.name, self._former.replacement)

    def exec_module(self, module: ModuleType) -> None:
        former = self._former
        if former.kind is Kind.REMOVED:
            raise NoEquivalent(former.door, former.reason, former.replacement)
        _notice(former, Counting.FIRST_IMPORT).give()
        new = _import(former, former.replacement)
        self._finder.aliased(former)
        self._finder.served(former.module, new)
        # The import system hands on what stands here.
        sys.modules[former.module] = new


class _NamesLoader(Loader):
    """Loads the module that stands in for an old one whose names went to several places."""

    def __init__(self, finder: RedirectFinder, former: FormerModule) -> None:
        self._finder = finder
        self._former = former

    def exec_module(self, module: ModuleType) -> None:
        names = _Names(self._former)
        # In the module itself, where the interpreter looks without making an error of its own first.
        vars(module).update(__getattr__=names.get, __dir__=lambda: sorted({*vars(module), *names.answered}))
        vars(module).update(
            __all__=names.answered, __doc__=f"The old names of {module.__name__}, each where it is now."
        )
        self._finder.served(module.__name__, module)


# ------------------------------------------------------------------- what is served


class _Alias(ModuleType):
    """What stands in `sys.modules` while the new module is imported: the new one, as far as it has come."""

    def __init__(self, name: str, new: str) -> None:
        super().__init__(name)
        self.__dict__["_new"] = new

    def __getattr__(self, name: str) -> Any:
        new = sys.modules.get(self.__dict__["_new"])
        if new is None or name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(new, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Post-import hooks are handed this object, and mean the module.
        new = None if name.startswith("__") else sys.modules.get(self.__dict__["_new"])
        if new is None:
            super().__setattr__(name, value)
        else:
            setattr(new, name, value)


class _Names:
    """The names of an old module, looked up each time where they are now."""

    __slots__ = ("_doors", "_forms", "_module", "answered")

    def __init__(self, former: FormerModule) -> None:
        self._module = former.module
        self._doors = {key: _Door(one) for key, one in former.names.items() if "*" not in key}
        self._forms = [(_form(key), one) for key, one in former.names.items() if "*" in key]
        #: Those that are not refused.
        self.answered = [key for key, one in former.names.items() if one.kind is not Kind.REMOVED]

    def get(self, name: str) -> Any:
        """What the old name is now: the module's `__getattr__`."""
        if (door := self._doors.get(name)) is not None:
            return door.open()
        if name.startswith("__"):
            # The import statement asks each time whether this is a package.
            raise AttributeError(name)
        for form, former in self._forms:
            if form.fullmatch(name):
                raise NoEquivalent(f"{self._module}.{name}", former.reason, former.replacement)
        raise AttributeError(f"module {self._module!r} has no attribute {name!r}")


def _form(name: str) -> re.Pattern[str]:
    """What a name with * stands for."""
    return re.compile(".*".join(map(re.escape, name.split("*"))))


class _Door:
    """One old name: what a use of it says, and what it gives."""

    __slots__ = ("_former", "_module", "_name", "_notice")

    def __init__(self, former: FormerName) -> None:
        self._former = former
        self._module, self._name = former.target
        self._notice = None if former.kind is Kind.REMOVED else _notice(former, Counting.EVERY_USE)

    def open(self) -> Any:
        former = self._former
        if self._notice is None:
            raise NoEquivalent(former.door, former.reason, former.replacement)
        self._notice.give()
        try:
            return getattr(_import(former, self._module), self._name)
        except AttributeError as error:
            # As AttributeError the import statement would replace the text by its own.
            raise ImportError(
                f"{former.door} is {former.replacement} now, which cannot be had: {error}; if that module is "
                "just being imported, import the new name where it is used, else correct the table of old names"
            ) from error


def _notice(former: FormerName, counting: Counting) -> Notice:
    changed = former.kind is Kind.BEHAVIOUR_CHANGED
    instead = f"{former.replacement} ({former.reason})" if changed else former.replacement
    return Notice(
        former.door, instead, since=former.since, removed_in=former.removed_in,
        counting=counting, entry="redirect_used",
    )  # fmt: skip


def _import(former: FormerName, module: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:
        # Whatever the new module raises is its own matter; only the way here is added.
        error.add_note(f"{former.door} is {former.replacement} now, and importing that failed")
        raise
