"""From-imports in every layout, rows 1 to 12."""

from __future__ import annotations

from corpus_shapes import (
    CLASSES,
    Piece,
    Site,
    probe,
    same,
    several,
    shape,
    some_by_hand,
    some_class,
    some_module,
    some_name,
    told_each,
)
from corpus_world import BY_HAND, MOVED


@shape(1)
def one_name(site: Site) -> Piece:
    """A name of a module."""
    module = some_module(site)
    (name, new), key = some_name(site, module), site.key()
    text = f"from ‹{site.spelled(module)}› import ‹{name}›\nsee({key}, {name})"
    return Piece(text, (probe(key, f"{module}.{name}", new),), is_simple=True)


@shape(1)
def one_name_as(site: Site) -> Piece:
    """A name of a module, called otherwise."""
    module = some_module(site)
    (name, new), key = some_name(site, module), site.key()
    text = f"from ‹{site.spelled(module)}› import ‹{name}› as mine{key}\nsee({key}, mine{key})"
    return Piece(text, (probe(key, f"{module}.{name}", new),), is_simple=True)


@shape(2)
def in_parentheses(site: Site) -> Piece:
    """Names on lines of their own, which all went to one module: the layout stays."""
    module = some_module(site, "oldapp.core.engines", "oldapp.solo", "oldapp.whole", "oldapp.core.factory")
    names, key = several(site, module, 1), site.key()
    lines = [f"from ‹{site.spelled(module)}› import (  # head {key}"]
    lines += [f"    ‹{name}›,  # why {key} {name}" for name, _ in names[:-1]]
    lines += [f"    # alone {key}"]
    last = names[-1][0]
    lines += site.pick([[f"    ‹{last}›,", ")"], [f"    ‹{last}›)"], [f"    ‹{last}›  # last {key}", ")  # end"]])
    return told_each(site, module, lines, names)


@shape(3)
def continued(site: Site) -> Piece:
    """Lines that go on behind a backslash."""
    module = some_module(site, "oldapp.core.engines", "oldapp.solo", "oldapp.whole")
    names = several(site, module, 1)
    first, second = names[0][0], names[1][0]
    head = f"from ‹{site.spelled(module)}›"
    text = site.pick([
        f"{head} \\\n    import ‹{first}›, ‹{second}›",
        f"{head} import ‹{first}›, \\\n        ‹{second}›",
        f"{head} import \\\n  ‹{first}›, \\\n  ‹{second}›",
    ])  # fmt: skip
    return told_each(site, module, [text], names[:2])


@shape(3)
def continued_and_split(site: Site) -> Piece:
    """The same where the names went to several modules."""
    names = several(site, "oldapp.core.engines", 2)
    text = f"‹from {site.spelled('oldapp.core.engines')} \\\n    import " + ", \\\n    ".join(n for n, _ in names) + "›"
    return told_each(site, "oldapp.core.engines", [text], names)


@shape(4)
def to_several(site: Site) -> Piece:
    """Names of one module that are in several now."""
    names = several(site, "oldapp.core.engines", 2)
    text = f"‹from {site.spelled('oldapp.core.engines')} import {', '.join(name for name, _ in names)}›"
    return told_each(site, "oldapp.core.engines", [text], names, is_simple=True)


@shape(4)
def to_several_as(site: Site) -> Piece:
    """The same, each called otherwise."""
    key, probes, words, lines = site.key(), [], [], []
    for name, new in several(site, "oldapp.core.engines", 2):
        own = site.key()
        words.append(f"{name} as it{own}")
        lines.append(f"see({own}, it{own})")
        probes.append(probe(own, f"oldapp.core.engines.{name}", new))
    opened, closed = site.pick([("", ""), ("(", ")"), ("( ", ",)")])
    text = f"‹from {site.spelled('oldapp.core.engines')} import {opened}{', '.join(words)}{closed}›"
    return Piece("\n".join([text, *lines, f"see({key}, 1)"]), (*probes, same(key, "1")), is_simple=True)


@shape(5)
def with_a_stranger(site: Site) -> Piece:
    """One name went, the other stays where it is and is told."""
    module = some_module(site, "oldapp.core.engines", "oldapp.core.factory", "oldapp.solo", "oldapp.whole")
    (name, new), (stray, told) = some_name(site, module), some_by_hand(site, module)
    key, second = site.key(), site.key()
    words = site.pick([f"⟦{stray}⟧, {name}", f"{name}, ⟦{stray}⟧", f"({name}, ⟦{stray}⟧)"])
    text = f"‹from {site.spelled(module)} import {words}›\nsee({key}, {name})\nsee({second}, {stray})"
    probes = (probe(key, f"{module}.{name}", new), same(second, f"{module}.{stray}"))
    return Piece(text, probes, (told,), is_simple=True)


@shape(5)
def a_stranger(site: Site) -> Piece:
    """A name no tool may lead anywhere: nothing changes."""
    module = some_module(site, *sorted(BY_HAND))
    (stray, told), key = some_by_hand(site, module), site.key()
    end = site.pick(["", f" as odd{key}"])
    text = f"from {site.spelled(module)} import ⟦{stray}⟧{end}\nsee({key}, {f'odd{key}' if end else stray})"
    return Piece(text, (same(key, f"{module}.{stray}"),), (told,), is_simple=True)


@shape(5)
def two_strangers(site: Site) -> Piece:
    """Several of them in one statement, each told."""
    key, second = site.key(), site.key()
    text = (
        f"from oldapp.core.engines import (\n    ⟦gone⟧,\n    ⟦stray⟧,  # {key}\n)\n"
        f"see({key}, gone)\nsee({second}, stray)"
    )
    told = (("oldapp.core.engines.gone", ("removed",)), ("oldapp.core.engines.stray", ("unknown_name",)))
    probes = (same(key, "oldapp.core.engines.gone"), same(second, "oldapp.core.engines.stray"))
    return Piece(text, probes, told)


@shape(6)
def split_with_comments(site: Site) -> Piece:
    """Names that part, each with its comment."""
    names, key = several(site, "oldapp.core.engines", 2), site.key()
    stray, told = some_by_hand(site, "oldapp.core.engines")
    lines = [f"‹from {site.spelled('oldapp.core.engines')} import (  # head {key}", f"    # above {key}"]
    for index, (name, _) in enumerate(names):
        lines.append(f"    {name},  # why {key} {index}")
    has_stray = site.pick([False, True])
    lines += [f"    ⟦{stray}⟧,  # stays {key}", ")›  # behind"] if has_stray else [f"    # last {key}", ")›  # behind"]
    piece = told_each(site, "oldapp.core.engines", lines, names)
    if not has_stray:
        return piece
    last = site.key()
    return Piece(f"{piece.text}\nsee({last}, {stray})", (*piece.probes, same(last, told[0])), (told,))


@shape(7)
def split_in_a_try(site: Site) -> Piece:
    """A split behind the colon of a try."""
    key, second = site.key(), site.key()
    text = (
        f"try: ‹from {site.spelled('oldapp.core.engines')} import OldEngine, LIMIT›\n"
        f"except ImportError: OldEngine = LIMIT = None\nsee({key}, OldEngine)\nsee({second}, LIMIT)"
    )
    probes = (
        probe(key, "oldapp.core.engines.OldEngine", "newapp.engine.Engine"),
        probe(second, "oldapp.core.engines.LIMIT", "newapp.limits.LIMIT"),
    )
    return Piece(text, probes)


@shape(8)
def called_as_now(site: Site) -> Piece:
    """It was called by its new name already."""
    module, name, new = site.pick([
        ("oldapp.core.engines", "OldEngine", "Engine"),
        ("oldapp.core.engines", "make", "build"),
        ("oldapp.solo", "One", "Uno"),
    ])  # fmt: skip
    key = site.key()
    text = f"from ‹{site.spelled(module)}› import ‹{name} as {new}›\nsee({key}, {new})"
    return Piece(text, (probe(key, f"{module}.{name}", MOVED[module][name]),), is_simple=True)


@shape(9)
def two_that_became_one(site: Site) -> Piece:
    """Both names of what is one thing now."""
    key, second = site.key(), site.key()
    words = site.pick(["Engine, OldEngine", "OldEngine, Engine"])
    text = f"‹from {site.spelled('oldapp.core.engines')} import {words}›\nsee({key}, Engine)\nsee({second}, OldEngine)"
    probes = (
        probe(key, "oldapp.core.engines.Engine", "newapp.engine.Engine"),
        probe(second, "oldapp.core.engines.OldEngine", "newapp.engine.Engine"),
    )
    return Piece(text, probes, is_simple=True)


@shape(9)
def one_name_of_two(site: Site) -> Piece:
    """Different things of one name, each under its own."""
    key, second = site.key(), site.key()
    text = (
        f"from ‹oldapp.core.engines› import ‹OldEngine›\nfrom ‹oldapp.core.factory› import ‹Engine›\n"
        f"see({key}, Engine)\nsee({second}, OldEngine)"
    )
    probes = (
        probe(key, "oldapp.core.factory.Engine", "newapp.factory.Engine"),
        probe(second, "oldapp.core.engines.OldEngine", "newapp.engine.Engine"),
    )
    return Piece(text, probes, is_simple=True)


@shape(10)
def shadowed(site: Site) -> Piece:
    """A parameter, a local, an attribute, a keyword of the same name."""
    module = some_module(site)
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    lines = [f"from ‹{site.spelled(module)}› import ‹{name}›"]
    lines += site.pick([
        [f"def shadow{key}({name}): return {name}", f"see({second}, shadow{key}({name}='own'))"],
        [f"def shadow{key}():", f"    {name} = 'own'", f"    return {name}", f"see({second}, shadow{key}())"],
        [f"see({second}, [{name} for {name} in ['own']][0])"],
        [f"see({second}, dict({name}='own')['{name}'])"],
        [f"see({second}, Bag({name}='own').{name})"],
        [f"class Owner{key}:", f"    {name} = 'own'", f"see({second}, Owner{key}.{name})"],
        [f"see({second}, (lambda {name}: {name})('own'))"],
    ])  # fmt: skip
    text = "\n".join([*lines, f"see({key}, {name})"])
    return Piece(text, (probe(key, f"{module}.{name}", new), same(second, "'own'")))


@shape(10)
def deleted(site: Site) -> Piece:
    """The name is taken away again."""
    module = some_module(site)
    (name, new), key = some_name(site, module), site.key()
    text = f"from ‹{site.spelled(module)}› import ‹{name}›\nsee({key}, {name})\ndel {name}"
    return Piece(text, (probe(key, f"{module}.{name}", new),), is_simple=True)


@shape(10)
def made_global(site: Site) -> Piece:
    """A function brings it to its module."""
    module = some_module(site)
    (name, new), key = some_name(site, module), site.key()
    text = (
        f"def bring{key}():\n    global mine{key}\n    from ‹{site.spelled(module)}› import ‹{name}› as mine{key}\n"
        f"bring{key}()\nsee({key}, mine{key})"
    )
    return Piece(text, (probe(key, f"{module}.{name}", new),), level="module")


@shape(10)
def used_everywhere(site: Site) -> Piece:
    """A local name used as base, default, decorator, in a lambda: nothing of it changes."""
    module = some_module(site, *CLASSES)
    (name, new), key = some_class(site, module), site.key()
    lines = [f"from ‹{site.spelled(module)}› import ‹{name}›"]
    probes = [probe(key, f"{module}.{name}", new)]
    uses = site.pick([
        [f"class Sub{key}({name}): pass", f"see({key}, Sub{key})"],
        [f"def take{key}(it={name}): return it", f"see({key}, take{key}())"],
        [f"see({key}, {name}().create())"],
        [f"@(lambda it: {name})", f"def made{key}(): pass", f"see({key}, made{key})"],
        [f"see({key}, type({name}()))"],
        [f"see({key}, {{'{name}': {name}}}['{name}'])"],
    ])  # fmt: skip
    return Piece("\n".join([*lines, *uses]), tuple(probes), level="no class")


@shape(11)
def exported(site: Site) -> Piece:
    """A package that hands it on, with and without `__all__`."""
    module = some_module(site)
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    listed = site.pick(
        [f'__all__ = ["{name}"]\n', f'__all__ = ("{name}",)\n', f'__all__ = []\n__all__ += ["{name}"]\n']
    )
    companion = f"from ‹{module}› import ‹{name}›\n\n{listed}"
    text = (
        f"import consumers.x{key}\nfrom consumers.x{key} import {name} as got{key}\nsee({key}, got{key})\n"
        f"see({second}, getattr(consumers.x{key}, consumers.x{key}.__all__[0]))"
    )
    probes = (probe(key, f"{module}.{name}", new), probe(second, f"{module}.{name}", new))
    return Piece(text, probes, companions=((f"consumers/x{key}/__init__.py", companion),), is_simple=True)


@shape(12)
def patched_in_a_consumer(site: Site) -> Piece:
    """Another file patches the name where it was brought to."""
    module = some_module(site, *CLASSES)
    (name, _), key = some_class(site, module), site.key()
    companion = f"from ‹{module}› import ‹{name}›\n\n\ndef make():\n    return {name}\n"
    text = (
        f"import consumers.y{key}\n"
        f'with mock.patch("consumers.y{key}.{name}", "S{key}"): see({key}, consumers.y{key}.make())'
    )
    return Piece(text, (same(key, f"'S{key}'"),), companions=((f"consumers/y{key}.py", companion),))
