"""Odd layouts, guards, and uses that the new name does not bear, rows 28 to 34."""

from __future__ import annotations

from corpus_shapes import CLASSES, Piece, Site, doors, probe, shape, some_class, some_module, some_name


@shape(28)
def oddly_spaced(site: Site) -> Piece:
    """Blanks where nobody puts them, and none where everybody does."""
    key = site.key()
    text = site.pick([
        f"‹from oldapp . core . engines import OldEngine›\nsee({key}, OldEngine)",
        f"‹from oldapp.core.engines import(OldEngine)›\nsee({key}, OldEngine)",
        f"‹from oldapp.core.engines import(OldEngine,make)›\nsee({key}, OldEngine)",
        f"‹from\toldapp.core.engines\timport\tOldEngine›\nsee({key}, OldEngine)",
        f"‹from   oldapp.core.engines   import   OldEngine   as   it{key}›\nsee({key}, it{key})",
        f"‹from oldapp.core.engines import OldEngine›;\nsee({key}, OldEngine)",
        f"‹from oldapp. core.engines import OldEngine, LIMIT›\nsee({key}, OldEngine)",
        f"‹import oldapp . core . engines›\nsee({key}, ‹oldapp . core . engines . OldEngine›)",
        f"‹import oldapp.core.engines›\nsee({key}, ‹(oldapp.core\n    .engines\n    .OldEngine)›)",
        f"‹import oldapp.core.engines as it{key}›\nsee({key}, ‹it{key} . OldEngine›)",
        f"‹import oldapp.core.engines›\nsee({key}, ‹(oldapp.core).engines.OldEngine›)",
    ])  # fmt: skip
    old = "oldapp.core.engines.OldEngine"
    return Piece(text, (probe(key, old, "newapp.engine.Engine"),), either=True)


@shape(29)
def with_a_fallback(site: Site) -> Piece:
    """A try that knows what to do without it."""
    module = some_module(site)
    (name, new), key = some_name(site, module), site.key()
    head = f"from ‹{site.spelled(module)}› import ‹{name}›"
    text = site.pick([
        f"try:\n    {head}\nexcept ImportError:\n    {name} = None\nsee({key}, {name})",
        f"try:\n    {head}\nexcept (ImportError, AttributeError):\n    pass\nelse:\n    see({key}, {name})",
        f"try:\n    import missing{key}\nexcept ImportError:\n    {head}\nsee({key}, {name})",
        f"try:\n    {head}\nfinally:\n    pass\nsee({key}, {name})",
    ])  # fmt: skip
    return Piece(text, (probe(key, f"{module}.{name}", new),))


@shape(29)
def with_the_new_one_as_fallback(site: Site) -> Piece:
    """Both branches would be the same: one remains, or it is told."""
    key = site.key()
    old, new = site.pick([
        ("from oldapp.core.engines import Engine", "from newapp.engine import Engine"),
        ("from oldapp.core.engines import OldEngine as Engine", "from newapp.engine import Engine"),
        ("from oldapp.whole import Engine", "from newapp.whole import Engine"),
    ])  # fmt: skip
    first, second = site.pick([(old, new), (new, old)])
    text = f"‹try:\n    {first}\nexcept ImportError:\n    {second}›\nsee({key}, Engine)"
    module = old.split()[1]
    name = old.split()[3]
    before = f"{module}.{name}" if first == old else doors()[module][name]
    return Piece(text, (probe(key, before, doors()[module][name]),), either=True, once=True)


@shape(29)
def for_the_checker(site: Site) -> Piece:
    """Imported for annotations only."""
    module = some_module(site, *CLASSES)
    (name, new), key = some_class(site, module), site.key()
    guard = site.pick(["TYPE_CHECKING", "typing.TYPE_CHECKING"])
    text = (
        f"if {guard}:\n    from ‹{site.spelled(module)}› import ‹{name}›\n"
        f'def hinted{key}(it: "{name}"): pass\n'
        f'see({key}, typing.get_type_hints(hinted{key}, globals(), locals())["it"])'
    )
    return Piece(text, (probe(key, f"{module}.{name}", new),), level="no class")


@shape(31)
def imported_already(site: Site) -> Piece:
    """It comes from its new place already."""
    key = site.key()
    old, new, name = site.pick([
        ("from oldapp.core.engines import Engine", "from newapp.engine import Engine", "Engine"),
        ("from oldapp.core.engines import OldEngine as Engine", "from newapp.engine import Engine", "Engine"),
        ("from oldapp.whole import Engine", "from newapp.whole import Engine", "Engine"),
        ("from oldapp.core.engines import OldEngine", "from newapp.engine import Engine", "OldEngine"),
        ("from oldapp.core.engines import Engine, LIMIT", "from newapp.engine import Engine", "Engine"),
    ])  # fmt: skip
    door = doors()[old.split()[1]][old.split()[3].rstrip(",")]
    first, second = site.pick([(old, new), (new, old)])
    own = f"{old.split()[1]}.{old.split()[3].rstrip(',')}"
    before = own if second == old or name == "OldEngine" else door
    text = f"‹{first}\n{second}\nsee(›{key}, {name})"
    return Piece(text, (probe(key, before, door),), level="alone", once=True)


@shape(34)
def not_awaited(site: Site) -> Piece:
    """It is a coroutine now, and this call does not wait for it."""
    key = site.key()
    use = site.pick(["return ⟦launch()⟧", "it = ⟦launch()⟧", "⟦launch()⟧", "⟦launch().upper()⟧"])
    text = (
        f"from ‹oldapp.core.engines› import ‹launch›\ndef never{key}():\n    {use}\n"
        f"async def well{key}():\n    return await launch()\nsee({key}, launch)"
    )
    told = ("oldapp.core.engines.launch", ("not_awaited",))
    return Piece(text, (probe(key, told[0], "newapp.making.launch"),), (told,), level="no class")


@shape(34)
def not_fitting(site: Site) -> Piece:
    """The new class lacks an attribute, or a parameter."""
    key = site.key()
    use, rule = site.pick([("Two.old_only", "missing_attribute"), ("Two(size=1)", "wrong_arguments")])
    text = f"from ‹oldapp.solo› import ‹Two›\ndef never{key}():\n    return ⟦{use}⟧\nsee({key}, Two)"
    told = ("oldapp.solo.Two" + (".old_only" if rule == "missing_attribute" else ""), (rule,))
    return Piece(text, (probe(key, "oldapp.solo.Two", "newapp.single.Two"),), (told,), level="no class")
