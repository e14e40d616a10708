"""A small host on disk: old modules, the new ones that took their place, and the table that leads to them.

Everything in it tells where it was defined, so that running a file says which of the two worlds it was led to.
"""

from __future__ import annotations

from pathlib import Path

#: Where the names of the old modules are now.
MOVED: dict[str, dict[str, str]] = {
    "oldapp.core.engines": {
        "Engine": "newapp.engine.Engine",
        "OldEngine": "newapp.engine.Engine",
        "LIMIT": "newapp.limits.LIMIT",
        "make": "newapp.making.build",
        "prepare": "newapp.making.prepare",
    },
    "oldapp.core.factory": {"Engine": "newapp.factory.Engine", "Factory": "newapp.factory.NewFactory"},
    "oldapp.solo": {"One": "newapp.single.Uno", "Two": "newapp.single.Two"},
}
#: Modules that went somewhere as they were.
WHOLE = {
    "oldapp.whole": "newapp.whole",
    "oldapp.core.renamed": "newapp.deep.fresh",
    "oldapp.core.inhouse": "oldapp.modern.place",
    "oldapp.pack": "newapp.pack",
    "oldtop": "newapp.top",
}
#: What is in them.
IN_WHOLE = {
    "oldapp.whole": ("Engine", "helper", "LIMIT"),
    "oldapp.core.renamed": ("Thing", "do"),
    "oldapp.core.inhouse": ("Local", "LIMIT"),
    "oldapp.pack": ("Pack", "wrap"),
    "oldapp.pack.inner": ("Inner",),
    "oldtop": ("Top", "spin"),
}
#: Names no tool may lead anywhere, and the rules that say so.
BY_HAND: dict[str, dict[str, str]] = {
    "oldapp.core.engines": {
        "gone": "removed",
        "detect_this": "removed",
        "changed": "behaviour_changed",
        "stray": "unknown_name",
    },
    "oldapp.core.factory": {"lost_factory": "removed", "odd": "unknown_name"},
    "oldapp.solo": {"three": "unknown_name"},
    "oldapp.whole": {"forgotten": "unbound_name"},
    "oldapp.core.vanished": {"Old": "removed"},
    "oldapp.core.shifted": {"Old": "behaviour_changed"},
}
#: Modules that only look like old ones.
NEAR = {
    "oldapp.core.engines_v2": ("OldEngine", "MyOldEngineError"),
    "oldapp.wholex": ("Engine",),
    "oldapp.core.other": ("Thing", "OldEngine"),
    "newapp.core": ("engines",),
}

TABLE = """
since: "0.1"
removed_in: "2.0"
reason: it is elsewhere
modules:
  oldapp.core.engines:
    names:
      Engine: {kind: moved, replacement: newapp.engine.Engine}
      OldEngine: {kind: renamed, replacement: newapp.engine.Engine}
      LIMIT: {kind: moved, replacement: newapp.limits.LIMIT}
      make: {kind: renamed, replacement: newapp.making.build}
      prepare: {kind: moved, replacement: newapp.making.prepare}
      launch: {kind: moved, replacement: newapp.making.launch}
      gone: {kind: removed, reason: nobody used it, replacement: delete the call}
      "detect_*": {kind: removed, reason: nothing to detect, replacement: delete the call}
      changed: {kind: behaviour_changed, reason: it takes a context, replacement: newapp.making.changed}
  oldapp.core.factory:
    names:
      Engine: {kind: moved, replacement: newapp.factory.Engine}
      Factory: {kind: renamed, replacement: newapp.factory.NewFactory}
      "*_factory": {kind: removed, replacement: use the container}
  oldapp.solo:
    names:
      One: {kind: renamed, replacement: newapp.single.Uno}
      Two: {kind: moved, replacement: newapp.single.Two}
  oldapp.whole: {kind: moved, replacement: newapp.whole}
  oldapp.core.renamed: {kind: renamed, replacement: newapp.deep.fresh}
  oldapp.core.inhouse: {kind: moved, replacement: oldapp.modern.place}
  oldapp.pack: {kind: moved, replacement: newapp.pack}
  oldapp.core.vanished: {kind: removed, replacement: delete the import}
  oldapp.core.shifted: {kind: behaviour_changed, replacement: newapp.making}
  oldapp.hosted: {kind: moved, replacement: newapp.whole, host_file: kept}
  oldtop: {kind: moved, replacement: newapp.top}
"""

MARKS = '''
"""What the host's files tell of themselves while they run."""
import pkgutil, sys, types
from contextlib import contextmanager, nullcontext as nothing
seen = {}

def told(value):
    if isinstance(value, types.ModuleType):
        return value.__name__
    marker = getattr(value, "marker", None)
    return marker if marker is not None else repr(value)

def see(key, value):
    assert key not in seen, key
    seen[key] = told(value)

def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value

class Bag(types.SimpleNamespace):
    pass

class Setting:
    @contextmanager
    def setattr(self, target, value):
        owner, _, name = target.rpartition(".")
        owner = pkgutil.resolve_name(owner)
        before = getattr(owner, name)
        setattr(owner, name, value)
        yield
        setattr(owner, name, before)

monkeypatch = Setting()

def places(value):
    """Where in both worlds a value is found."""
    found = []
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in ("oldapp", "newapp", "oldtop"):
            continue
        for key, one in list(vars(module).items()):
            if one == value:
                found.append(f"{name}.{key}")
            if isinstance(one, type) and one.__module__ == name:
                found += [f"{name}.{key}.{inner}" for inner, two in vars(one).items() if two == value]
            if isinstance(one, dict) and key == "TABLE":
                found += [f"{name}.{key}" for two in one.values() if two == value]
    return ", ".join(sorted(found))
'''

_CLASS = """
class {name}:
    marker = "{door}"
    old_only = "{door}.old_only"
    def __init__(self, size=0):
        self.size = size
    def run(self):
        return "{door}.run"
    @classmethod
    def create(cls):
        return cls()
"""
_FUNCTION = """
def {name}(*args, **named):
    return "{door}()"
{name}.marker = "{door}"
"""
_CONSTANT = """
class _Constant:
    marker = "{door}"
{name} = _Constant()
"""
_ASYNC = """
async def {name}(*args, **named):
    return "{door}()"
{name}.marker = "{door}"
"""


def _defined(module: str, name: str) -> str:
    shape = _CONSTANT if name.isupper() else _CLASS if name[0].isupper() else _FUNCTION
    return shape.format(name=name, door=f"{module}.{name}")


def _old() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {module: [*there] for module, there in [*MOVED.items(), *IN_WHOLE.items()]}
    for module, there in BY_HAND.items():
        names.setdefault(module, []).extend(there)
    names["oldapp.core.engines"].append("launch")
    return names


def _new() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {"newapp.making": ["changed"]}
    for there in MOVED.values():
        for door in there.values():
            module, _, name = door.rpartition(".")
            if name not in names.setdefault(module, []):
                names[module].append(name)
    for module, there_too in IN_WHOLE.items():
        names[new_of(module)] = [*there_too]
    for module, there_too in NEAR.items():
        names[module] = [*there_too]
    return names


def new_of(dotted: str) -> str:
    """The new name of a module that went somewhere as it was, or of what is in it."""
    for old, new in WHOLE.items():
        if dotted == old or dotted.startswith(f"{old}."):
            return new + dotted[len(old) :]
    raise KeyError(dotted)


def _path(module: str) -> str:
    is_package = module in ("oldapp.pack", "newapp.pack")
    return module.replace(".", "/") + ("/__init__.py" if is_package else ".py")


#: The files of the old modules: what a host deletes in the end.
OLD_FILES = tuple(_path(module) for module in _old())


def _files() -> dict[str, str]:
    files = {"marks.py": MARKS, "table.yaml": TABLE}
    for package in ("oldapp", "oldapp/core", "oldapp/modern", "newapp", "newapp/deep", "newapp/pack", "consumers"):
        door = package.replace("/", ".")
        files[f"{package}/__init__.py"] = f'class MARK:\n    marker = "{door}.MARK"\n'
    for module, names in {**_old(), **_new()}.items():
        files[_path(module)] = files.get(_path(module), "") + "".join(_defined(module, name) for name in names)
    for path, door in (("oldapp/whole.py", "oldapp.whole"), ("newapp/whole.py", "newapp.whole")):
        files[path] += f'\nTABLE = {{"door": "{door}.TABLE"}}\n'
    files["newapp/making.py"] += _ASYNC.format(name="launch", door="newapp.making.launch")
    # What the new class no longer has, and what it asks for.
    files["newapp/single.py"] = files["newapp/single.py"].replace("    old_only = ", "    new_only = ")
    files["newapp/single.py"] = files["newapp/single.py"].replace("self, size=0", "self, *, length=0")
    files["newapp/single.py"] = files["newapp/single.py"].replace("self.size = size", "self.size = length")
    # An old module is left alone, whatever it imports.
    files["oldapp/core/factory.py"] += "\nfrom oldapp.core.engines import OldEngine as Imported\n"
    files["oldapp/core/factory.py"] += 'TARGET = "oldapp.core.engines.OldEngine"\n'
    return files


#: Every file of the host but its consumers, by its path.
FILES = _files()


def build(host: Path) -> None:
    """Write the host; nothing imports its old modules yet but they themselves."""
    for path, text in FILES.items():
        (host / path).parent.mkdir(parents=True, exist_ok=True)
        (host / path).write_text(text, encoding="utf-8")
