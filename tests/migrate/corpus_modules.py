"""Modules that are imported as such, and what is used of them, rows 13 to 18."""

from __future__ import annotations

from corpus_shapes import (
    Piece,
    Probe,
    Site,
    doors,
    probe,
    same,
    shape,
    some_by_hand,
    some_module,
    some_name,
    use_of,
)
from corpus_world import WHOLE, new_of


@shape(13)
def a_module_and_its_root(site: Site) -> Piece:
    """`import a.b.c`, uses of it, and uses of what else its root leads to."""
    module = some_module(site, *sorted({*doors()} - {"oldtop", "oldapp.core.engines"}))
    (name, new), key, root = some_name(site, module), site.key(), site.key()
    use, told = use_of(site, f"{module}.{name}", key, f"{module}.{name}", new)
    parent = site.pick([part for part in ("oldapp", "oldapp.core") if module.startswith(f"{part}.")])
    lines = [f"‹import {module}›", use, f"see({root}, {parent}.MARK)"]
    if site.pick([True, False]):
        lines[1:] = [lines[2], lines[1]]
    return Piece("\n".join(lines), (told, same(root, f"{parent}.MARK")), is_simple=True)


@shape(13)
def a_module_in_a_function(site: Site) -> Piece:
    """The import stands outside, its uses in functions."""
    module = some_module(site, "oldapp.whole", "oldapp.core.renamed", "oldapp.solo", "oldtop")
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    use, told = use_of(site, f"{module}.{name}", key, f"{module}.{name}", new, closes=True)
    text = f"‹import {module}›\ndef use{key}():\n    {use}\n    return ‹{module}.{name}›\nsee({second}, use{key}())"
    return Piece(text, (told, probe(second, f"{module}.{name}", new)), level="no class")


@shape(13)
def a_scattered_module(site: Site) -> Piece:
    """Uses that lead to several modules now."""
    (first, one), (second, two) = site.pick([
        (("OldEngine", "newapp.engine.Engine"), ("LIMIT", "newapp.limits.LIMIT")),
        (("make", "newapp.making.build"), ("Engine", "newapp.engine.Engine")),
    ])  # fmt: skip
    key, other = site.key(), site.key()
    module = "oldapp.core.engines"
    use, told = use_of(site, f"{module}.{first}", key, f"{module}.{first}", one)
    use_two, told_two = use_of(site, f"{module}.{second}", other, f"{module}.{second}", two)
    return Piece(f"‹import {module}›\n{use}\n{use_two}", (told, told_two), is_simple=True)


@shape(13)
def a_chain_to_a_stranger(site: Site) -> Piece:
    """Of two uses one leads nowhere: it must go on as it was."""
    stray, told_of = some_by_hand(site, "oldapp.core.engines")
    key, second = site.key(), site.key()
    text = (
        f"‹import oldapp.core.engines›\nsee({key}, ‹oldapp.core.engines.OldEngine›)\n"
        f"see({second}, ⟦oldapp.core.engines.{stray}⟧)"
    )
    probes = (
        probe(key, "oldapp.core.engines.OldEngine", "newapp.engine.Engine"),
        same(second, f"oldapp.core.engines.{stray}"),
    )
    return Piece(text, probes, (told_of,), is_simple=True)


@shape(13)
def a_module_as_a_value(site: Site) -> Piece:
    """The module itself is handed on, and not only its names are used."""
    module, key = some_module(site, *sorted(WHOLE)), site.key()
    return Piece(f"‹import {module}›\nsee({key}, ‹{module}›)", (probe(key, module, new_of(module)),), is_simple=True)


@shape(13)
def a_scattered_module_as_a_value(site: Site) -> Piece:
    """There is no one module to hand on: everything stays."""
    module, key = some_module(site, "oldapp.core.engines", "oldapp.core.factory"), site.key()
    text = site.pick([
        f"⟦import {module} as whole{key}\nsee({key}, whole{key})⟧",
        f"⟦‹import {module}›\nsee({key}, {module})⟧",  # may bind more, for another import of it
        f"⟦import {module} as whole{key}\nsee({key}, [whole{key}][0])⟧",
    ])  # fmt: skip
    return Piece(text, (same(key, module),), ((module, ("scattered_module",)),), is_simple=True)


@shape(14)
def an_alias(site: Site) -> Piece:
    """`import a.b.c as x` and its uses."""
    module = some_module(site)
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    use, told = use_of(site, f"mod{key}.{name}", key, f"{module}.{name}", new)
    lines = [f"‹import {module} as mod{key}›", use]
    if name[1:2].islower() and name[0].isupper():
        lines.append(f"see({second}, ‹mod{key}.{name}›().run())")
        return Piece("\n".join(lines), (told, Probe(second, f"'{module}.{name}.run'", f"'{new}.run'")), is_simple=True)
    return Piece("\n".join(lines), (told,), is_simple=True)


@shape(14)
def an_alias_to_several(site: Site) -> Piece:
    """Its names are in several modules now."""
    key, second, third = site.key(), site.key(), site.key()
    use, told = use_of(site, f"mod{key}.OldEngine", key, "oldapp.core.engines.OldEngine", "newapp.engine.Engine")
    use_two, told_two = use_of(site, f"mod{key}.LIMIT", second, "oldapp.core.engines.LIMIT", "newapp.limits.LIMIT")
    text = (
        f"‹import oldapp.core.engines as mod{key}›\n{use}\n{use_two}\n"
        f"def use{third}():\n    return ‹mod{key}.make›\nsee({third}, use{third}())"
    )
    probes = (told, told_two, probe(third, "oldapp.core.engines.make", "newapp.making.build"))
    return Piece(text, probes, either=True, level="no class")


@shape(14)
def an_alias_that_is_bound_again(site: Site) -> Piece:
    """The name means something else later."""
    module = some_module(site, "oldapp.whole", "oldapp.solo", "oldapp.core.factory")
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    text = (
        f"‹import {module} as mod{key}›\nsee({key}, ‹mod{key}.{name}›)\n‹mod{key} = Bag({name}='own')›\n"
        f"see({second}, ‹mod{key}.{name}›)"
    )
    return Piece(text, (probe(key, f"{module}.{name}", new), same(second, "'own'")), either=True, is_simple=True)


@shape(14)
def an_alias_to_a_stranger(site: Site) -> Piece:
    """A name its new module does not bind, or the table does not know."""
    module = some_module(site, "oldapp.core.engines", "oldapp.solo", "oldapp.whole")
    (stray, told), key = some_by_hand(site, module), site.key()
    text = f"‹import {module} as mod{key}›\nsee({key}, ‹⟦mod{key}.{stray}⟧›)"
    return Piece(text, (same(key, f"{module}.{stray}"),), (told,), is_simple=True)


@shape(15)
def among_others(site: Site) -> Piece:
    """One of several modules in a statement."""
    module = some_module(site, "oldapp.whole", "oldapp.core.renamed", "oldapp.pack.inner", "oldtop")
    (name, new), key = some_name(site, module), site.key()
    text = site.pick([
        f"import os, ‹{module} as mod{key}›, sys\nsee({key}, ‹mod{key}.{name}›)",
        f"import os, ‹{module} as mod{key}›\nsee({key}, ‹mod{key}.{name}›)",
        f"import ‹{module} as mod{key}›, sys as mine{key}\nsee({key}, ‹mod{key}.{name}›)",
        f"‹import os, {module}, sys›\nsee({key}, ‹{module}.{name}›)",
    ])  # fmt: skip
    return Piece(
        f"{text}\nsee({key}0000, 1)", (probe(key, f"{module}.{name}", new), same(key * 10000, "1")), is_simple=True
    )


@shape(15)
def two_old_modules(site: Site) -> Piece:
    """Two of several modules in a statement, one of them scattered."""
    key, second, third = site.key(), site.key(), site.key()
    text = (
        f"‹import oldapp.whole, os, oldapp.solo›\nsee({key}, ‹oldapp.whole.Engine›)\nsee({second}, ‹oldapp.solo.One›)\n"
        f"see({third}, os.sep)"
    )
    probes = (
        probe(key, "oldapp.whole.Engine", "newapp.whole.Engine"),
        probe(second, "oldapp.solo.One", "newapp.single.Uno"),
        same(third, "'/'"),
    )
    return Piece(text, probes, is_simple=True)


@shape(16)
def from_its_parent(site: Site) -> Piece:
    """A module, named in its package."""
    module = some_module(
        site, "oldapp.whole", "oldapp.core.renamed", "oldapp.core.inhouse", "oldapp.pack", "oldapp.pack.inner"
    )
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    parent, _, leaf = module.rpartition(".")
    as_, local = site.pick([("", leaf), (f" as mod{key}", f"mod{key}")])
    text = f"‹from {site.spelled(parent)} import {leaf}{as_}›\nsee({key}, ‹{local}.{name}›)\nsee({second}, ‹{local}›)"
    return Piece(text, (probe(key, f"{module}.{name}", new), probe(second, module, new_of(module))), is_simple=True)


@shape(16)
def from_its_parent_with_another(site: Site) -> Piece:
    """The other one stays where it is."""
    key, second = site.key(), site.key()
    words = site.pick(["renamed, other", "other, renamed", "(renamed,\n      other)", "other as other, renamed"])
    text = (
        f"‹from {site.spelled('oldapp.core')} import {words}›\nsee({key}, ‹renamed.Thing›)\nsee({second}, other.Thing)"
    )
    probes = (
        probe(key, "oldapp.core.renamed.Thing", "newapp.deep.fresh.Thing"),
        same(second, "oldapp.core.other.Thing"),
    )
    return Piece(text, probes, is_simple="\n  " not in words)


@shape(16)
def a_scattered_one_from_its_parent(site: Site) -> Piece:
    """Its names are in several modules now."""
    key, second = site.key(), site.key()
    text = (
        f"‹from {site.spelled('oldapp.core')} import engines›\nsee({key}, ‹engines.OldEngine›)\n"
        f"see({second}, ‹engines.LIMIT›)"
    )
    probes = (
        probe(key, "oldapp.core.engines.OldEngine", "newapp.engine.Engine"),
        probe(second, "oldapp.core.engines.LIMIT", "newapp.limits.LIMIT"),
    )
    return Piece(text, probes, either=True, is_simple=True)


@shape(16)
def a_removed_module(site: Site) -> Piece:
    """A module nothing answers any more."""
    module, rule = site.pick([
        ("oldapp.core.vanished", "removed"), ("oldapp.core.shifted", "behaviour_changed")
    ])  # fmt: skip
    leaf, key = module.rpartition(".")[2], site.key()
    text = site.pick([
        f"⟦from oldapp.core import {leaf}⟧\nsee({key}, {leaf})",
        f"⟦import {module} as mod{key}⟧\nsee({key}, mod{key})",
    ])  # fmt: skip
    return Piece(text, (same(key, module),), ((module, (rule,)),), is_simple=True)


@shape(17)
def relative(site: Site) -> Piece:
    """Named from where the file stands, if it stands there; its level is not guessed."""
    old = [module for module in sorted(doors()) if module.startswith("oldapp.")]
    base = site.module.split(".") if site.is_package else site.module.split(".")[:-1]
    if base[0] != "oldapp":
        # Nothing old is relative to it.
        key = site.key()
        text = f"from {'.' * len(base)} import MARK as it{key}\nsee({key}, it{key})"
        return Piece(text, (same(key, f"{base[0]}.MARK"),), is_simple=True)
    module = site.pick(old)
    (name, new), key = some_name(site, module), site.key()
    level = max(n for n in range(1, len(base) + 1) if module.startswith(".".join(base[:n]) + "."))
    dots = "." * (len(base) - level + 1)
    rest = module[len(".".join(base[:level])) + 1 :]
    parent, _, leaf = rest.rpartition(".")
    if module in WHOLE and site.pick([True, False]):
        text = f"‹from {dots}{parent} import {leaf}›\nsee({key}, ‹{leaf}.{name}›)"
    else:
        text = f"from ‹{dots}{rest}› import ‹{name}›\nsee({key}, {name})"
    return Piece(text, (probe(key, f"{module}.{name}", new),), is_simple=True)


@shape(18)
def star(site: Site) -> Piece:
    """Everything of a module that went somewhere as it was."""
    module = some_module(site, "oldapp.core.renamed", "oldapp.core.inhouse", "oldapp.pack.inner", "oldtop")
    (name, new), key = some_name(site, module), site.key()
    text = f"from ‹{site.spelled(module)}› import *\nsee({key}, {name})"
    return Piece(text, (probe(key, f"{module}.{name}", new),), level="module", is_simple=True)


@shape(18)
def star_of_a_scattered_one(site: Site) -> Piece:
    """Everything of a module whose names are in several: told."""
    module = some_module(site, "oldapp.core.engines", "oldapp.solo", "oldapp.core.factory")
    (name, _), key = some_name(site, module), site.key()
    text = f"⟦from {site.spelled(module)} import *⟧\nsee({key}, {name})"
    return Piece(
        text, (same(key, f"{module}.{name}"),), ((f"{module}.*", ("star_import",)),), level="module", is_simple=True
    )
