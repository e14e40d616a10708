"""The shapes in which a file may name what is old, each with what it tells when it runs, before and after.

In a shape's text ‹…› is what may change, everything else must not; ⟦…⟧ stands around what has to be left to a person.
Each row is one of the contract: the number of an input shape and what is expected of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from corpus_world import BY_HAND, IN_WHOLE, MOVED, new_of

T = TypeVar("T")
#: Takes one of several.
Pick = Callable[[Sequence[T]], T]


@dataclass(frozen=True)
class Probe:
    """What a file tells under a key: before the migration, and after it."""

    key: int
    before: str
    after: str


@dataclass(frozen=True)
class Piece:
    """One reference, or a few that belong together."""

    text: str
    probes: tuple[Probe, ...] = ()
    #: For each ⟦…⟧ in the text: the old name and the rules that may report it.
    by_hand: tuple[tuple[str, tuple[str, ...]], ...] = ()
    #: Either it tells the new thing, or it tells the old one and a person is told of it.
    either: bool = False
    #: One statement to a line, none with a block: they can stand in one line.
    is_simple: bool = False
    #: Where it may stand: "any", "no class" (a function of it would not see the class's names), "module", "alone".
    level: str = "any"
    #: Other files it needs: path and text.
    companions: tuple[tuple[str, str], ...] = ()
    #: Its text may hold no import twice.
    once: bool = False


@dataclass
class Site:
    """Where a piece will stand, and the numbers that make its names its own."""

    module: str
    is_package: bool
    pick: Pick
    _key: int = 0
    #: Numbers of all sites of one tree go on counting here.
    counter: list[int] = field(default_factory=lambda: [0])

    def key(self) -> int:
        """A number nobody else has."""
        self.counter[0] += 1
        return self.counter[0]

    def spelled(self, module: str) -> str:
        """A module as `from … import` may name it from here: absolute, or relative where that leads to it."""
        options = [module]
        base = self.module.split(".") if self.is_package else self.module.split(".")[:-1]
        for level in range(1, len(base) + 1):
            package = ".".join(base[: len(base) - level + 1])
            if module.startswith(f"{package}."):
                options.append("." * level + module[len(package) + 1 :])
            elif module == package:
                options.append("." * level)
        return self.pick(options)


Shape = Callable[[Site], Piece]
#: All shapes by their names, with the row each belongs to.
SHAPES: dict[str, tuple[int, Shape]] = {}


def shape(row: int) -> Callable[[Shape], Shape]:
    """Register a shape of a row."""

    def register(function: Shape) -> Shape:
        SHAPES[function.__name__] = (row, function)
        return function

    return register


# ------------------------------------------------------------------ what can be named


def doors() -> dict[str, dict[str, str]]:
    """All names that went somewhere, by their old module."""
    whole = {module: {name: f"{new_of(module)}.{name}" for name in names} for module, names in IN_WHOLE.items()}
    return {**MOVED, **whole}


def some_module(site: Site, *among: str) -> str:
    """An old module."""
    return site.pick(among or sorted(doors()))


def some_name(site: Site, module: str) -> tuple[str, str]:
    """A name of it, and where that is now."""
    return site.pick(sorted(doors()[module].items()))


def some_class(site: Site, module: str) -> tuple[str, str]:
    """A class of it, and where that is now."""
    return site.pick(
        [(name, new) for name, new in sorted(doors()[module].items()) if name[0].isupper() and name[1:2].islower()]
    )


def several(site: Site, module: str, targets: int) -> list[tuple[str, str]]:
    """Names of it that are now in so many modules."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, new in sorted(doors()[module].items()):
        found.setdefault(new.rpartition(".")[0], []).append((name, new))
    groups = list(found.values())
    if targets == 1:
        return site.pick([group for group in groups if len(group) > 1])
    return [site.pick(group) for group in groups]


def probe(key: int, old: str, new: str) -> Probe:
    """What is told of a thing that is old before and new after."""
    return Probe(key, old, new)


def same(key: int, told: str) -> Probe:
    """What is told before and after."""
    return Probe(key, told, told)


#: Old modules that hold a class.
CLASSES = tuple(sorted(doors()))


def told_each(site: Site, module: str, lines: list[str], names: Sequence[tuple[str, str]], **more: object) -> Piece:
    """The lines of an import, and then what each name is."""
    probes = []
    for name, new in names:
        key = site.key()
        lines = [*lines, f"see({key}, {name})"]
        probes.append(probe(key, f"{module}.{name}", new))
    return Piece("\n".join(lines), tuple(probes), **more)  # type: ignore[arg-type]


def some_by_hand(site: Site, module: str) -> tuple[str, tuple[str, tuple[str, ...]]]:
    name, rule = site.pick(sorted(BY_HAND[module].items()))
    return name, (f"{module}.{name}", (rule,))


def use_of(site: Site, chain: str, key: int, old: str, new: str, *, closes: bool = False) -> tuple[str, Probe]:
    """A line that uses a chain in some place of an expression; also in a function, where that sees the chain's root."""
    kinds = ["plain", "second", "list", "marker", "default", "base", "call", "nested", "starred"]
    kind = site.pick([*kinds, "lambda"] if closes else kinds)
    lines = {
        "plain": f"see({key}, ‹{chain}›)",
        "second": f'see({key}, ("漢字🙂é", ‹{chain}›)[1])',
        "lambda": f"see({key}, (lambda: ‹{chain}›)())",
        "list": f"see({key}, (‹{chain}›, 0)[0])",
        "marker": f"see({key}, ‹{chain}›.marker)",
        "default": f"see({key}, (lambda it=‹{chain}›: it)())",
        "base": f"see({key}, [‹{chain}›, 'x'][0])",
        "call": f"see(key={key}, value=‹{chain}›)",
        "nested": f"see({key}, dict(a=(‹{chain}›,))['a'][0])",
        "starred": f"see(*({key}, ‹{chain}›))",
    }
    told = (f"'{old}'", f"'{new}'") if kind == "marker" else (old, new)
    return lines[kind], Probe(key, *told)
