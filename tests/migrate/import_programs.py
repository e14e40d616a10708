"""Programs that import old names in all forms and use them, and the modules they need to run before and after."""

from __future__ import annotations

import random

#: Old and new modules of the shared table; what is taken from either is the same string.
MODULES = {
    "app/__init__.py": "ROOT = 'root'\n",
    "app/other.py": "X = 'x'\nSame = 'other same'\n",
    "app/one.py": (
        "from new.alpha import New as Old, Same, Two\nfrom new.beta import Other\n"
        "Gone = 'gone'\nChanged = 'changed'\nUnknown = 'unknown'\n"
    ),
    "app/again.py": "from new.alpha import New as Old, Same\n",
    "app/whole.py": "import sys, new.whole\nsys.modules[__name__] = new.whole\n",
    "app/flat.py": "import sys, flat\nsys.modules[__name__] = flat\n",
    "app/gone.py": "Z = 'z'\n",
    "app/pack/__init__.py": "P = 'p'\n",
    "app/pack/single.py": "from new.alpha import Only, Primary as First\n",
    "top.py": "import sys, new.top\nsys.modules[__name__] = new.top\n",
    "new/__init__.py": "",
    "new/alpha.py": "New = 'new'\nSame = 'same'\nTwo = 'two'\nOnly = 'only'\nPrimary = 'primary'\n",
    "new/beta.py": "Other = 'beta other'\nChanged = 'beta changed'\n",
    "new/whole.py": "W = 'w'\nV = 'v'\n",
    "new/top.py": "T = 't'\n",
    "flat.py": "F = 'f'\n",
}

_NAMES = {
    "app.one": ["Old", "Same", "Two", "Other", "Gone", "Changed", "Unknown"],
    "app.again": ["Old", "Same"],
    "app.whole": ["W", "V"],
    "app.flat": ["F"],
    "app.gone": ["Z"],
    "app.pack.single": ["Only", "First"],
    "top": ["T"],
    "app.other": ["X", "Same"],
    "new.alpha": ["New", "Same", "Two"],
    "new.beta": ["Other"],
    "new.whole": ["W"],
    "flat": ["F"],
}
_LOCALS = ["Old", "New", "Same", "x", "one", "whole", "new", "app"]


class Program:
    """One program, the same for the same seed. What it sees it appends to `SEEN`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        uses: list[str] = []
        lines = self._block(0, uses)
        if uses:
            lines += [line for _ in range(3) for line in self._use(uses)]
        self.code = "\n".join(lines) + "\n"

    def _is(self, share: float) -> bool:
        return self._random.random() < share

    # ------------------------------------------------------------------- imports

    def _import(self, uses: list[str]) -> list[str]:
        forms = [self._names, self._alias, self._plain, self._module]
        (form,) = self._random.choices(forms, [45, 15, 25, 15])
        return form(self._random.choice(list(_NAMES)), uses)

    def _names(self, module: str, uses: list[str]) -> list[str]:
        names = []
        for name in self._random.choices(_NAMES[module], k=self._random.randint(1, 4)):
            local = self._random.choice([*_LOCALS, name]) if self._is(0.3) else ""
            uses.append(local or name)
            names.append(f"{name} as {local}" if local else name)
        opening = f"from {module.replace('.', ' . ') if self._is(0.1) else module} import"
        comment = self._random.choice(["", "  # noqa: F401", "  # why"])
        form = self._random.randrange(4)
        if form == 0:
            return [f"{opening} {', '.join(names)}{comment}"]
        if form == 1:
            return [f"{opening}({','.join(names)})"]
        if form == 2:
            return [f"{opening} \\", "    " + ", \\\n    ".join(names)]
        lines = [line for name in names for line in self._commented(name)]
        return [f"{opening} ({self._random.choice(['', '  # noqa', '  # head'])}", *lines, f"){comment}"]

    def _commented(self, name: str) -> list[str]:
        before = [f"    # before {name}"] if self._is(0.2) else []
        return [*before, f"    {name}," + (f"  # behind {name}" if self._is(0.5) else "")]

    def _alias(self, module: str, uses: list[str]) -> list[str]:
        local = self._random.choice(_LOCALS)
        uses += [f"{local}.{name}" for name in _NAMES[module] if self._is(0.5)]
        return [f"import {module} as {local}"]

    def _plain(self, module: str, uses: list[str]) -> list[str]:
        modules = [module, *([self._random.choice(list(_NAMES))] if self._is(0.3) else [])]
        uses += [f"{one}.{name}" for one in modules for name in _NAMES[one] if self._is(0.4)]
        uses += [use for use in ("app.ROOT", "app.other.X", "bool(app)") if self._is(0.2)]
        return [f"import {', '.join(modules)}"]

    def _module(self, module: str, uses: list[str]) -> list[str]:
        package, _, leaf = module.rpartition(".")
        if not package:
            return self._plain(module, uses)
        local = self._random.choice(_LOCALS) if self._is(0.3) else ""
        uses += [f"{local or leaf}.{name}" for name in _NAMES[module]]
        return [f"from {package} import {leaf}" + (f" as {local}" if local else "")]

    # ------------------------------------------------------------------- around them

    def _block(self, depth: int, uses: list[str]) -> list[str]:
        lines: list[str] = []
        for _ in range(self._random.randint(1, 4 if depth else 7)):
            forms = [self._imports, self._use, self._function, self._class, self._try, self._branch]
            (form,) = self._random.choices(
                forms if depth < 3 else forms[:2], [45, 20, 10, 5, 15, 5][: 6 if depth < 3 else 2]
            )
            lines += form(uses) if form in (self._imports, self._use) else form(uses, depth)  # type: ignore[operator]
        return lines

    def _imports(self, uses: list[str]) -> list[str]:
        first, second = self._import(uses), self._import(uses)
        if self._is(0.2) and _is_short(first) and _is_short(second):
            return [f"{first[0]}; {second[0]}"]
        return [*first, *second]

    def _use(self, uses: list[str]) -> list[str]:
        use = self._random.choice(uses or ["1"])
        forms = ["{}", "{}", 'f"{{{}}}"', "(lambda: {})()", "next({} for new in (1,))", "getattr({}, 'title', None)"]
        return [f"SEEN.append({self._random.choice(forms).format(use)})"]

    def _function(self, uses: list[str], depth: int) -> list[str]:
        name = f"f{self._random.randrange(100)}"
        known = list(uses) if self._is(0.7) else []
        declared = ["    global x, Old"] if self._is(0.1) else []
        return [f"def {name}():", *declared, *_indented(self._block(depth + 1, known)), f"{name}()"]

    def _class(self, uses: list[str], depth: int) -> list[str]:
        return ["class A:", *_indented(self._use(uses)), *_indented(self._names("app.one", []))]

    def _try(self, uses: list[str], depth: int) -> list[str]:
        first, second = self._import(uses), self._import(uses)
        if self._is(0.4):
            uses.append("Same")
            paths = self._random.sample(["app.one", "app.again", "new.alpha"], 2)
            first, second = ([f"from {path} import Same"] for path in paths)
        error = self._random.choice(["ImportError", "ModuleNotFoundError", "(ImportError, ModuleNotFoundError)"])
        if self._is(0.2) and _is_short(first) and _is_short(second):
            return [f"try: {first[0]}", f"except {error}: {second[0]}"]
        return ["try:", *_indented(first), f"except {error}:", *_indented(second)]

    def _branch(self, uses: list[str], depth: int) -> list[str]:
        return [self._random.choice(["if True:", "for _ in (1,):"]), *_indented(self._block(depth + 1, uses))]


def _is_short(lines: list[str]) -> bool:
    return len(lines) == 1 and "#" not in lines[0]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
