"""Modules in scopes and statements where their names, or those of the new ones, mean something else too."""

from __future__ import annotations

from corpus_shapes import Piece, Probe, Site, doors, probe, same, shape, some_module, some_name
from corpus_world import WHOLE, new_of


@shape(10)
def a_module_shadowed(site: Site) -> Piece:
    """A parameter, a loop variable or a local of the module's name."""
    module = some_module(site, "oldapp.whole", "oldapp.solo", "oldapp.core.factory")
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    root, inner, bag = site.pick([
        (f"mod{key}", name, f"Bag({name}='own')"),
        ("oldapp", f"{module.partition('.')[2]}.{name}", _bag(f"{module.partition('.')[2]}.{name}")),
    ])  # fmt: skip
    head = f"‹import {module}›" if root == "oldapp" else f"‹import {module} as {root}›"
    other = site.pick([
        f"see({second}, (lambda {root}: {root}.{inner})({bag}))",
        f"see({second}, [{root}.{inner} for {root} in [{bag}]][0])",
        f"def own{key}({root}): return {root}.{inner}\nsee({second}, own{key}({bag}))",
        f"def own{key}():\n    {root} = {bag}\n    return {root}.{inner}\nsee({second}, own{key}())",
    ])  # fmt: skip
    text = f"{head}\nsee({key}, ‹{root}.{inner}›)\n{other}"
    return Piece(text, (probe(key, f"{module}.{name}", new), same(second, "'own'")))


def _bag(inner: str) -> str:
    """Nested bags in which a chain leads to 'own'."""
    value = "'own'"
    for part in reversed(inner.split(".")):
        value = f"Bag({part}={value})"
    return value


@shape(13)
def the_new_root_is_taken(site: Site) -> Piece:
    """What the new module's root is called means something else here."""
    key, second = site.key(), site.key()
    text = site.pick([
        f"newapp = 'own'\n‹import oldapp.whole\nsee({key}, oldapp.whole.Engine)›\nsee({second}, newapp)",
        (f"‹import oldapp.whole\ndef use{key}(newapp): see({second}, newapp); return oldapp.whole.Engine\n"
        f"see({key}, use{key}('own'))›"),
        f"‹import oldapp.whole\nsee({key}, [oldapp.whole.Engine for newapp in [1]][0])\nsee({second}, 'own')›",
    ])  # fmt: skip
    probes = (probe(key, "oldapp.whole.Engine", "newapp.whole.Engine"), same(second, "'own'"))
    return Piece(text, probes, either=True, level="alone")


@shape(13)
def the_root_in_other_uses(site: Site) -> Piece:
    """The root itself is used, handed on, or taken away."""
    module = some_module(site, "oldapp.whole", "oldapp.solo", "oldapp.core.inhouse")
    (name, new), key, second = some_name(site, module), site.key(), site.key()
    last = site.pick([
        f"see({second}, oldapp.MARK)\ndel oldapp",
        f"see({second}, getattr(oldapp, 'MARK'))",
        f"see({second}, [oldapp][0].MARK)",
        f"root{key} = oldapp\nsee({second}, root{key}.MARK)",
        f"see({second}, locals()['oldapp'].MARK if 'oldapp' in locals() else oldapp.MARK)",
    ])  # fmt: skip
    text = f"‹import {module}›\nsee({key}, ‹{module}.{name}›)\n{last}"
    probes = (probe(key, f"{module}.{name}", new), same(second, "oldapp.MARK"))
    return Piece(text, probes, either="del" in last, level="alone")


@shape(13)
def loaded_by_another_import(site: Site) -> Piece:
    """A chain that holds as some other import loads its module."""
    key = site.key()
    text = site.pick([
        f"‹import oldapp.core\nfrom oldapp.core.engines import LIMIT\nsee({key}, oldapp.core.engines.OldEngine)›",
        f"‹import oldapp.core.engines\nfrom oldapp import core\nsee({key}, core.engines.OldEngine)›",
        f"‹import oldapp.core.engines\nimport oldapp.core as core{key}\nsee({key}, core{key}.engines.OldEngine)›",
        f"‹import oldapp\nimportlib.import_module('oldapp.core.engines')\nsee({key}, oldapp.core.engines.OldEngine)›",
        f"‹import oldapp.core.engines, oldapp.core\nsee({key}, oldapp.core.engines.OldEngine)›",
        f"‹import oldapp, oldapp.core.engines\nsee({key}, oldapp.core.engines.OldEngine)›",
    ])  # fmt: skip
    piece = probe(key, "oldapp.core.engines.OldEngine", "newapp.engine.Engine")
    return Piece(text, (piece,), either=True, is_simple=True, level="alone")


@shape(14)
def in_statements(site: Site) -> Piece:
    """A chain in all kinds of statements."""
    module = some_module(site, "oldapp.whole", "oldapp.core.engines", "oldapp.core.factory")
    key = site.key()
    head, chain = site.pick(
        [(f"‹import {module} as mod{key}›", f"‹mod{key}.Engine›"), (f"‹import {module}›", f"‹{module}.Engine›")]
    )
    uses = site.pick([
        f"match {chain}():\n    case {chain}() as it: see({key}, type(it))",
        f"class Sub{key}({chain}): pass\nsee({key}, Sub{key})",
        f"def make{key}(it=1): return {chain}\nsee({key}, make{key}(**dict(it={chain})))",
        f"it: {chain} = {chain}\nsee({key}, it)",
        f"assert {chain}, {chain}\nfor it in [{chain}]: see({key}, it)",
        f"if (it := {chain}) and not {chain} is None: see({key}, it)",
        f"def gen{key}():\n    yield {chain}\nsee({key}, next(gen{key}()))",
        f"@{chain}\ndef made{key}(): pass\nsee({key}, type(made{key}))",
        f"see({key}, {{1: {chain}}}[1] if {chain} else {chain})",
        f"it = {chain}; see({key}, (it, {chain})[-1])",
        f"try: raise ValueError({chain})\nexcept ValueError as error: see({key}, error.args[0])",
        f"see({key}, ({chain}  # why {key}\n))",
        f"async def wait{key}(): return {chain}\nsee({key}, drive(wait{key}()))",
    ])  # fmt: skip
    return Piece(f"{head}\n{uses}", (probe(key, f"{module}.Engine", doors()[module]["Engine"]),), level="no class")


@shape(14)
def in_an_f_string(site: Site) -> Piece:
    """A chain inside of an f-string."""
    module = some_module(site, "oldapp.whole", "oldapp.solo")
    name = "Engine" if module == "oldapp.whole" else "One"
    key = site.key()
    head, chain = site.pick(
        [(f"import {module} as mod{key}", f"mod{key}.{name}"), (f"import {module}", f"{module}.{name}")]
    )
    use = site.pick([
        f"f'{{{chain}.marker}}'",
        f"f'é漢 {{1}} {{{chain}.marker!s}}'[5:]",
        f"f'''\n{{{chain}.marker}}'''.strip()",
        f"f'{{{chain}.marker:>5}}'",
        f"'' f'{{{chain}.marker}}' ''",
        f'f"{{f\'{{{chain}.marker}}\'}}"',
        f"f'{{ {chain}.marker }}'",
        f"f'{{{{}}}}{{{chain}.marker}}'[2:]",
    ])  # fmt: skip
    old, new = f"{module}.{name}", doors()[module][name]
    text = f"‹{head}\nsee({key}, {use})›"
    return Piece(text, (Probe(key, f"'{old}'", f"'{new}'"),), either=True)


@shape(14)
def an_alias_with_a_fallback(site: Site) -> Piece:
    """A try around the import of a module."""
    module = some_module(site, "oldapp.whole", "oldapp.solo", "oldapp.core.factory")
    (name, new), key = some_name(site, module), site.key()
    text = site.pick([
        f"try:\n    ‹import {module} as mod{key}›\nexcept ImportError:\n    mod{key} = None",
        f"mod{key} = None\nif {key}:\n    ‹import {module} as mod{key}›",
        f"def bring{key}():\n    global mod{key}\n    ‹import {module} as mod{key}›\nbring{key}()",
    ])  # fmt: skip
    level = "module" if "global" in text else "no class"
    text = f"{text}\nif mod{key}: see({key}, ‹mod{key}.{name}›)"
    return Piece(text, (probe(key, f"{module}.{name}", new),), either=True, level=level)


@shape(14)
def an_alias_handed_on(site: Site) -> Piece:
    """Another file, or a class, uses what the alias leads to."""
    key = site.key()
    module, name, new = site.pick(
        [("oldapp.whole", "Engine", "newapp.whole.Engine"), ("oldapp.solo", "Two", "newapp.single.Two")]
    )
    companion = f"‹import {module} as engines›\n\n\ndef make():\n    return ‹engines.{name}›\n"
    text = f"import consumers.z{key}\nsee({key}, ‹consumers.z{key}.engines.{name}›)"
    companions = ((f"consumers/z{key}.py", companion),)
    return Piece(text, (probe(key, f"{module}.{name}", new),), companions=companions, is_simple=True)


@shape(16)
def set_through_its_module(site: Site) -> Piece:
    """A name of a module is set from outside."""
    key = site.key()
    module = some_module(site, "oldapp.whole", "oldapp.core.inhouse")
    use = site.pick([
        f'with mock.patch.object(mod{key}, "LIMIT", "S{key}"): see({key}, places("S{key}"))',
        f'with monkeypatch.setattr("‹{module}.LIMIT›", "S{key}"): see({key}, places("S{key}"))',
        f'mod{key}.LIMIT, keep = "S{key}", mod{key}.LIMIT; see({key}, places("S{key}")); mod{key}.LIMIT = keep',
        f'with mock.patch.multiple("‹{module}›", LIMIT="S{key}"): see({key}, places("S{key}"))',
    ])  # fmt: skip
    text = f"‹import {module} as mod{key}›\n{use}"
    return Piece(text, (Probe(key, f"'{module}.LIMIT'", f"'{new_of(module)}.LIMIT'"),))


@shape(21)
def put_into_the_loaded_modules(site: Site) -> Piece:
    """A module is named where the interpreter keeps them."""
    key, module = site.key(), some_module(site, *sorted(WHOLE))
    told = f"see({key}, [name for name, one in sys.modules.items() if one == 'S{key}'][0])"
    text = site.pick([
        f'with mock.patch.dict(sys.modules, {{"‹{module}›": "S{key}"}}): {told}',
        f'with mock.patch.dict("sys.modules", {{"‹{module}›": "S{key}"}}): {told}',
        f'sys.modules["‹{module}›"] = "S{key}"; {told}; del sys.modules["‹{module}›"]',
        f'sys.modules.setdefault("‹{module}›", "S{key}"); {told}; sys.modules.pop("‹{module}›")',
    ])  # fmt: skip
    text = f"sys.modules.pop('‹{module}›', None)\n{text}"
    return Piece(text, (Probe(key, f"'{module}'", f"'{new_of(module)}'"),))
