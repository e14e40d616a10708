"""Names in strings, and what only looks like a name, rows 19 to 25."""

from __future__ import annotations

from corpus_shapes import (
    CLASSES,
    Piece,
    Probe,
    Site,
    doors,
    probe,
    same,
    shape,
    some_by_hand,
    some_class,
    some_module,
    some_name,
)
from corpus_world import WHOLE, new_of


def _patched(site: Site, target: str, inner: str, key: int) -> str:
    """A patch of a target around a call."""
    quote = site.pick(['"', "'", 'r"', '"""'])
    literal = f"{quote}{target}{quote.lstrip('r')}"
    return site.pick([
        f'with mock.patch({literal}, "S{key}"): {inner}',
        f'with mock.patch({literal}, new="S{key}"):\n    {inner}',
        f'with mock.patch(target={literal}, new="S{key}"): {inner}',
        f'with monkeypatch.setattr({literal}, "S{key}"): {inner}',
        f'with mock.patch(  # why {key}\n    {literal},\n    "S{key}",\n): {inner}',
        f'@mock.patch({literal}, "S{key}")\ndef test{key}():\n    {inner}\ntest{key}()',
        f'@mock.patch({literal}, new_callable=lambda: "S{key}")\ndef test{key}(it):\n    {inner}\ntest{key}()',
        f'it{key} = mock.patch({literal}, "S{key}"); it{key}.start(); {inner}; it{key}.stop()',
        f'class Test{key}:\n    @mock.patch({literal}, "S{key}")\n    def test(self): {inner}\nTest{key}().test()',
    ])  # fmt: skip


@shape(19)
def patched(site: Site) -> Piece:
    """A target of a patch, or an attribute of one: the longest old name in it counts."""
    module = some_module(site)
    (name, new), key = some_name(site, module), site.key()
    is_class = name[0].isupper() and name[1:2].islower()
    tail = site.pick([".run", ""]) if is_class else ""
    text = _patched(site, f"‹{module}.{name}{tail}›", f'see({key}, places("S{key}"))', key)
    return Piece(text, (Probe(key, f"'{module}.{name}{tail}'", f"'{new}{tail}'"),), level="no class")


@shape(19)
def patched_twice(site: Site) -> Piece:
    """Two decorators, of which one names a consumer's own name."""
    key, second = site.key(), site.key()
    text = (
        f'@mock.patch("‹oldapp.core.engines.OldEngine.run›", "S{key}")\n@mock.patch("marks.Bag", "S{second}")\n'
        f'def test{key}():\n    see({key}, places("S{key}"))\n    see({second}, 1)\ntest{key}()'
    )
    probes = (Probe(key, "'oldapp.core.engines.OldEngine.run'", "'newapp.engine.Engine.run'"), same(second, "1"))
    return Piece(text, probes, level="no class")


@shape(19)
def patched_object(site: Site) -> Piece:
    """The target is a thing, not a string: only its import changes."""
    module = some_module(site, *CLASSES)
    (name, new), key = some_class(site, module), site.key()
    text = (
        f"from ‹{site.spelled(module)}› import ‹{name}›\n"
        f'with mock.patch.object({name}, "run", "S{key}"): see({key}, places("S{key}"))'
    )
    return Piece(text, (Probe(key, f"'{module}.{name}.run'", f"'{new}.run'"),))


@shape(19)
def patched_dict(site: Site) -> Piece:
    """A dictionary, named by a string."""
    key = site.key()
    text = f'with mock.patch.dict("‹oldapp.whole.TABLE›", extra="S{key}"): see({key}, places("S{key}"))'
    return Piece(text, (Probe(key, "'oldapp.whole.TABLE'", "'newapp.whole.TABLE'"),))


@shape(20)
def patched_stranger(site: Site) -> Piece:
    """A target that the new module does not bind, or nobody knows."""
    module = some_module(site, "oldapp.core.engines", "oldapp.whole", "oldapp.core.factory", "oldapp.core.vanished")
    (stray, told), key = some_by_hand(site, module), site.key()
    text = _patched(site, f"⟦{module}.{stray}⟧", f'see({key}, places("S{key}"))', key)
    return Piece(text, (same(key, f"'{module}.{stray}'"),), (told,), level="no class")


@shape(21)
def imported_by_name(site: Site) -> Piece:
    """The module is named by a string."""
    module, key = some_module(site, *sorted(WHOLE), "oldapp.pack.inner"), site.key()
    text = site.pick([
        f'see({key}, importlib.import_module("‹{module}›"))',
        f"see({key}, importlib.import_module(name='‹{module}›'))",
        f'see({key}, __import__("‹{module}›", fromlist=["any"]))',
        f'__import__("‹{module}›"); see({key}, sys.modules["‹{module}›"])',
        f'see({key}, importlib.import_module("‹{module}›", package=None))',
        f'importlib.import_module("‹{module}›"); see({key}, sys.modules.get("‹{module}›"))',
    ])  # fmt: skip
    return Piece(text, (probe(key, module, new_of(module)),), is_simple=True)


@shape(21)
def imported_by_name_otherwise(site: Site) -> Piece:
    """Other ways to say it in strings: led to the new one, or told."""
    key = site.key()
    module, text = site.pick([
        ("oldapp.whole", f'‹see({key}, importlib.import_module(".whole", "oldapp").Engine)›'),
        ("oldapp.core.engines", f'‹see({key}, importlib.import_module("oldapp.core.engines").Engine)›'),
        ("oldapp.core.engines", f'‹see({key}, getattr(importlib.import_module("oldapp.core.engines"), "Engine"))›'),
        ("oldapp.whole", f'‹see({key}, pkgutil.resolve_name("oldapp.whole:Engine"))›'),
        ("oldapp.whole", f'‹see({key}, pkgutil.resolve_name("oldapp.whole.Engine"))›'),
        ("oldapp.core.engines", f'‹see({key}, pkgutil.resolve_name("oldapp.core.engines:Engine"))›'),
        ("oldapp.whole", f'‹see({key}, (__import__("oldapp.whole"), sys.modules["oldapp.whole"])[1].Engine)›'),
        ("oldapp.whole", f'‹see({key}, __import__("oldapp.whole").whole.Engine)›'),
        ("oldapp.core.engines", f'‹see({key}, __import__("oldapp.core.engines", fromlist=["Engine"]).Engine)›'),
    ])  # fmt: skip
    new = "newapp.whole.Engine" if module == "oldapp.whole" else "newapp.engine.Engine"
    return Piece(text, (probe(key, f"{module}.Engine", new),), either=True, is_simple=True)


@shape(22)
def put_together(site: Site) -> Piece:
    """A name put together of parts: mapped as one, or told, and never half."""
    key = site.key()
    module, new = site.pick([("oldapp.whole", "newapp.whole.Engine"), ("oldapp.core.engines", "newapp.engine.Engine")])
    parent, _, leaf = module.rpartition(".")
    target = site.pick([
        f'f"{module}.{{name{key}}}"',
        f'f"{module}.{{name{key}!s}}"',
        f'f"{parent}.{leaf}.Engine"',
        f'f"{{base{key}}}.Engine"',
        f'f"{{parent{key}}}.{leaf}.Engine"',
        f'"{parent}." "{leaf}.Engine"',
        f'"{module}" ".Engine"',
        f'("{module}."\n    "Engine")',
        f'"{module}" + ".Engine"',
        f'"{module}." + name{key}',
        f'"%s.Engine" % "{module}"',
        f'"{{}}.Engine".format("{module}")',
        f'".".join(["{module}", "Engine"])',
        f'"{module}.Eng" "ine"',
        f'f"{module}" ".Engine"',
        f'f"{module}.Eng{{\'ine\'}}"',
        f'f"{module[:-2]}{{\'{module[-2:]}\'}}.Engine"',
        f"target{key}",
        f'"{module}\\x2eEngine"',
        f'"{module}.\\u0045ngine"',
        f'r"{parent}" ".{leaf}.Engine"',
        f'["{module}.Engine"][0]',
        f'{{"one": "{module}.Engine"}}["one"]',
        f'("{module}.Engine" if name{key} else "{module}")',
        f'"{module}.Engine".strip()',
        f'"{module}:Engine".replace(":", ".")',
    ])  # fmt: skip
    text = (
        f'‹name{key}, base{key}, parent{key} = "Engine", "{module}", "{parent}"; target{key} = "{module}.Engine"\n'
        f'with mock.patch({target}, "S{key}"): see({key}, places("S{key}"))›'
    )
    return Piece(text, (Probe(key, f"'{module}.Engine'", f"'{new}'"),), either=True)


@shape(23)
def annotated(site: Site) -> Piece:
    """Names in annotations that are strings."""
    key = site.key()
    names = [("oldapp.core.engines", "OldEngine"), ("oldapp.whole", "Engine"), ("oldapp.solo", "One")]
    module, name = site.pick(names)
    new = doors()[module][name]
    local, head = site.pick([
        (name, f"from ‹{module}› import ‹{name}›"),
        (f"‹{module}.{name}›", f"‹import {module}›"),
        (f"‹mod{key}.{name}›", f"‹import {module} as mod{key}›"),
    ])  # fmt: skip
    hint, part = site.pick([
        (f'"{local}"', ""),
        (f'"typing.Optional[{local}]"', ".__args__[0]"),
        (f'typing.Optional["{local}"]', ".__args__[0]"),
        (f'dict[str, "{local}"]', ".__args__[1]"),
        (f"'{local}'", ""),
    ])  # fmt: skip
    value = f'typing.get_type_hints(hinted{key}, globals(), locals())["it"]{part}'
    parameter = site.pick([f"(it: {hint})", f"(*, it: {hint} = None)", f"(it: {hint}) -> None"])
    text = f"{head}\ndef hinted{key}{parameter}: pass\nsee({key}, {value})"
    return Piece(text, (probe(key, f"{module}.{name}", new),), level="no class")


@shape(23)
def bytes_and_others(site: Site) -> Piece:
    """What looks like a name and is none."""
    key = site.key()
    value, told = site.pick([
        ('b"oldapp.whole.Engine"', "b'oldapp.whole.Engine'"),
        ('b"oldapp.core.engines"', "b'oldapp.core.engines'"),
        ('"oldapp/whole.py"', "'oldapp/whole.py'"),
        ('"oldapp.whole.Engine is here"', "'oldapp.whole.Engine is here'"),
        ('"from oldapp.whole import Engine"', "'from oldapp.whole import Engine'"),
        ('"""import oldapp.whole\\nx = oldapp.whole.Engine()"""', "'import oldapp.whole\\nx = oldapp.whole.Engine()'"),
        ('"Engine"', "'Engine'"),
        ('"OldEngine"', "'OldEngine'"),
        ('{"OldEngine": 1}', "{'OldEngine': 1}"),
        ('"oldapp"', "'oldapp'"),
        ('"oldapp.core"', "'oldapp.core'"),
    ])  # fmt: skip
    return Piece(f"see({key}, {value})", (same(key, told),), is_simple=True)


@shape(24)
def near_miss(site: Site) -> Piece:
    """Names that only look like old ones."""
    key = site.key()
    text, told = site.pick([
        (f"from oldapp.core.engines_v2 import OldEngine as it{key}\nsee({key}, it{key})",
         "oldapp.core.engines_v2.OldEngine"),
        (f"from oldapp.core.engines_v2 import MyOldEngineError\nsee({key}, MyOldEngineError)",
         "oldapp.core.engines_v2.MyOldEngineError"),
        (f"import oldapp.wholex as whole{key}\nsee({key}, whole{key}.Engine)", "oldapp.wholex.Engine"),
        (f"import oldapp.wholex\nsee({key}, oldapp.wholex.Engine)", "oldapp.wholex.Engine"),
        (f"from oldapp.core.other import OldEngine as it{key}\nsee({key}, it{key})", "oldapp.core.other.OldEngine"),
        (f"from oldapp.core import other as engines{key}\nsee({key}, engines{key}.OldEngine)",
         "oldapp.core.other.OldEngine"),
        (f"from newapp.core import engines as it{key}\nsee({key}, it{key})", "newapp.core.engines"),
        (f'with mock.patch("oldapp.wholex.Engine", "S{key}"): see({key}, places("S{key}"))', "'oldapp.wholex.Engine'"),
        (f"from oldapp import MARK as it{key}\nsee({key}, it{key})", "oldapp.MARK"),
    ])  # fmt: skip
    return Piece(text, (same(key, told),), is_simple="with" not in text)


@shape(24)
def not_the_module(site: Site) -> Piece:
    """A name that is no module here, though it reads like one."""
    key = site.key()
    text = site.pick([
        f"oldapp = Bag(whole=Bag(Engine='own'))\nsee({key}, oldapp.whole.Engine)",
        f"def own(oldapp): return oldapp.whole.Engine\nsee({key}, own(Bag(whole=Bag(Engine='own'))))",
        f"engines = Bag(OldEngine='own')\nsee({key}, engines.OldEngine)",
        f"whole = Bag(Engine='own')\nsee({key}, whole.Engine)",
    ])  # fmt: skip
    return Piece(text, (same(key, "'own'"),), level="alone")


@shape(25)
def prose(site: Site) -> Piece:
    """Comments, docstrings and what is said in a log."""
    key = site.key()
    text = (
        f"def said{key}():\n"
        '    """OldEngine of oldapp.core.engines; `from oldapp.whole import Engine`.\n\n'
        "    >>> import oldapp.core.engines\n"
        '    """\n'
        f"    # from oldapp.core.engines import OldEngine\n"
        f'    return "took oldapp.core.engines.OldEngine from %s, not oldapp.whole"\n'
        f"see({key}, (len(said{key}.__doc__) > 20, said{key}()))  # oldapp.whole.Engine"
    )
    return Piece(text, (same(key, "(True, 'took oldapp.core.engines.OldEngine from %s, not oldapp.whole')"),))
