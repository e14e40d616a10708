"""Which names of a table mean an engine, a factory, a bridge or an emitter, and where the canonical ones are."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum

from ssot_engine.legacy.former import FormerName, Kind
from ssot_engine.migrate.lookup import Lookup


class Role(StrEnum):
    """What an object does, of those that belong to one request or one container."""

    ENGINE = "engine"
    FACTORY = "factory"
    BRIDGE = "bridge"
    EMITTER = "emitter"


#: The class whose module may construct engines.
FACTORY_CLASS = "ExecutionEngineFactory"

# By these names the replacements of a table are known, whatever module they are in.
_CANONICAL = {
    "UserExecutionEngine": Role.ENGINE,
    FACTORY_CLASS: Role.FACTORY,
    "AgentInstanceFactory": Role.FACTORY,
    "AgentWebSocketBridge": Role.BRIDGE,
    "UnifiedWebSocketEmitter": Role.EMITTER,
}
# A name of the table that ends so was a second one of its role.
_ENDINGS = {
    "ExecutionEngine": Role.ENGINE,
    "EngineAdapter": Role.ENGINE,
    "EngineWrapper": Role.ENGINE,
    "EngineFactory": Role.FACTORY,
    "WebSocketBridge": Role.BRIDGE,
    "WebSocketEmitter": Role.EMITTER,
    "WebSocketEmitterFactory": Role.EMITTER,
    "WebSocketEmitterPool": Role.EMITTER,
}
_maker = re.compile(r"(?:create|make|build|get)_(?:\w+_)?(engine|factory|bridge|emitter)(?:_async)?").fullmatch


class Roles:
    """What a table says of roles and canonical names."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        #: Canonical name to the modules that may define it, the usual one first.
        self.canonical: Mapping[str, Sequence[str]] = _canonical(lookup)
        #: New modules that took over all of an old one: what they define is known by its name alone.
        self.whole = frozenset(one.replacement for one in _whole(lookup) if one.kind is not Kind.REMOVED)
        #: First parts of the names of the host's modules and of the new ones.
        self.roots = lookup.roots | {target.partition(".")[0] for target in lookup.targets}
        self._doors = frozenset(former.door for former in _named(lookup))
        self._named = {former.door: role for former in _named(lookup) if (role := self._of_entry(former))}
        #: Names of which there is to be one definition.
        self.unique = frozenset(self.canonical) | (frozenset(_CANONICAL) if self.whole else frozenset())
        #: Classes with a role, old and new, by their last part.
        self.classes: Mapping[str, Role] = {
            **{door.rpartition(".")[2]: role for door, role in self._named.items()},
            **{name: role for name in self.canonical if (role := _by_ending(name))},
            **_CANONICAL,
        }
        #: Functions that return one, by their last part.
        self.makers: Mapping[str, Role] = {
            name: Role(found[1]) for name in _functions(lookup, self.canonical) if (found := _maker(name))
        }

    def of_class(self, dotted: str, own_roots: Collection[str] = ()) -> Role | None:
        """What instances of a class do; names that are not canonical count only in modules of the host."""
        if dotted in self._doors:
            return self._named.get(dotted)
        leaf = dotted.rpartition(".")[2]
        is_ours = leaf in _CANONICAL or self._is_ours(dotted, own_roots)
        return self.classes.get(leaf) if is_ours else None

    def of_maker(self, dotted: str, own_roots: Collection[str] = ()) -> Role | None:
        """What a function of the table returns."""
        return self.makers.get(dotted.rpartition(".")[2]) if self._is_ours(dotted, own_roots) else None

    def _is_ours(self, dotted: str, own_roots: Collection[str]) -> bool:
        root = dotted.partition(".")[0]
        return root in self.roots or root in own_roots

    def is_home(self, modules: Collection[str], name: str) -> bool:
        """Whether a module of these names is where a canonical name belongs."""
        homes = self.canonical.get(name) or self.whole
        return any(module == home or module.startswith(home + ".") for module in modules for home in homes)

    def target(self, name: str) -> str | None:
        """The dotted canonical name, if the table gives it."""
        homes = self.canonical.get(name)
        return f"{homes[0]}.{name}" if homes else None

    def replacement(self, dotted: str) -> str | None:
        """What a person takes instead of a class of the table that has a role."""
        role = self._named.get(dotted)
        became = self._lookup.resolve(dotted)
        if role is None or became is None or became.former is None:
            return None
        if became.former.kind is not Kind.REMOVED:
            return became.former.replacement
        return next((self.target(name) for name, other in _CANONICAL.items() if other is role), None)

    def _of_entry(self, former: FormerName) -> Role | None:
        if former.kind is not Kind.REMOVED:
            leaf = former.target[1]
            return _CANONICAL.get(leaf) or _by_ending(leaf)
        return _by_ending(former.name) or self._by_advice(former)

    def _by_advice(self, former: FormerName) -> Role | None:
        """Of a removed class that says which canonical one to use, such as `ExecutionFactory`."""
        for name, role in _CANONICAL.items():
            target = self.target(name)
            if target and target in former.replacement and former.name.endswith(role.capitalize()):
                return role
        return None


@functools.lru_cache(maxsize=4)
def roles_of(lookup: Lookup) -> Roles:
    """The roles of a table, worked out once."""
    return Roles(lookup)


def _by_ending(name: str) -> Role | None:
    return next((role for ending, role in _ENDINGS.items() if name.endswith(ending)), None)


def _whole(lookup: Lookup) -> Iterator[FormerName]:
    return (module.whole for module in lookup.modules.values() if module.whole is not None)


def _named(lookup: Lookup) -> Iterator[FormerName]:
    """Entries of one name each."""
    every = (former for module in lookup.modules.values() for former in module.names.values())
    return (former for former in every if "*" not in former.name)


def _canonical(lookup: Lookup) -> dict[str, list[str]]:
    counted = Counter(former.target for former in _named(lookup) if former.kind is not Kind.REMOVED)
    found: dict[str, list[str]] = {}
    for (module, name), _ in counted.most_common():
        found.setdefault(name, []).append(module)
    return found


def _functions(lookup: Lookup, canonical: Mapping[str, object]) -> set[str]:
    return {name for name in (*canonical, *(former.name for former in _named(lookup))) if name.islower()}
