"""Old names in YAML, TOML and INI files."""

from __future__ import annotations

import configparser
import json
import re
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from text_world import LOOKUP, config, new_modules

from ssot_engine.migrate.source import NotReadable
from ssot_engine.migrate.static.exports import Exports
from ssot_engine.migrate.texts.configs import rewrite_config


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """The new modules."""
    return new_modules(tmp_path_factory.mktemp("new"))


NAMES = {
    "app.one.Old": "new.alpha.New",
    "app.one:Old": "new.alpha:New",
    "app.one.Two": "new.alpha.Two",
    "app.whole": "new.whole",
    "app.flat": "flat",
}
#: Text in which each name that is replaced stands in angles.
MAPPED = [
    # ------------------------------------------------------------------ YAML
    ("a.yaml", "engine: ‹app.one.Old›"),
    ("a.yml", "engine: ‹app.one:Old›"),
    ("a.yaml", "engine: '‹app.one.Old›' # app.one.Old"),
    ("a.yaml", '- "‹app.one.Old›.run"'),
    ("a.yaml", "{‹app.one.Old›: [‹app.whole›, ‹app.one.Two›]}"),
    ("a.yaml", "‹app.whole›:\n  level: INFO\n"),
    ("a.yaml", "? ‹app.whole›\n: &app ‹app.flat›\n"),
    ("a.yaml", "a: 1\n---\nb: !mine ‹app.one.Old›\n...\n---\nc: *b\n"),
    ("a.yaml", "a: !!python/name:‹app.one.Old› ''"),
    ("a.yaml", "a: !!python/object/new:‹app.one.Old› [1]"),
    ("a.yaml", "cmd: uvicorn ‹app.whole›:helper --reload"),
    ("a.yaml", "run: |  # app.one.Old\n  python -m ‹app.whole›\n  # ‹app.one.Old›\n# app.one.Old\n"),
    ("a.yaml", "run: >-\n  see ‹app.one.Old›,\n  and ‹app.whole›.\n"),
    ("a.yaml", '\'é ü\': [é, ‹app.one.Old›, "\\u00e9 ‹app.one.Old›"]'),
    # ------------------------------------------------------------------ TOML
    ("a.toml", 'x = "‹app.one:Old›"'),
    ("a.toml", "x = '‹app.one.Old›' # 'app.one.Old'"),
    ("a.toml", '[tool.x."‹app.whole›"]\n"‹app.flat›".y = 1\n'),
    ("a.toml", '[[tool.mypy.overrides]]\nmodule = ["‹app.whole›.*", "‹app.flat›"]\n'),
    ("a.toml", 'x = ["# ‹app.one.Old›", "a \\" ‹app.one.Old›"] # "app.one.Old"'),
    ("a.toml", 'x = """\n‹app.one.Old› ""\n# ‹app.whole›"""""\ny = \'\'\'‹app.whole›\'\'\'\'\nz = [nan, 1979-05-27]'),
    ("a.toml", 'filterwarnings = ["ignore::‹app.one.Old›:‹app.whole›", "error:‹app.one.Old›.:x"]'),
    ("a.toml", 'filterwarnings = ["ignore::‹app.one.Old›:consumer.module:12"]'),
    # ------------------------------------------------------------------ INI
    ("a.ini", "[x]\nqualname=‹app.whole›\nargs = (‹app.one.Old›,)\n"),
    ("a.cfg", "[mypy-‹app.whole›.*]\nx = y\n[mypy-‹app.flat›,‹app.one.Old›]\n"),
    ("a.cfg", "[options.entry_points]\nx =\n    a = ‹app.one:Old›\n    b = ‹app.whole›:helper\n"),
    ("a.ini", "[pytest]\naddopts = -p ‹app.whole›\n  --x=‹app.one.Old›\n"),
    ("a.ini", "[pytest]\nfilterwarnings =\n  ignore::‹app.one.Old›\n  ignore:x:‹app.one.Two›:‹app.whole›\n"),
    ("a.ini", "# app.one.Old\n[x]\n; app.one.Old\ny = ‹app.whole› # app.one.Old\n   # app.one.Old\n   ‹app.whole›\n"),
    ("a.ini", "[x]\n‹app.whole› = 1\n‹app.one.Old›: 2\nApp.Flat\n‹app.flat›"),
    ("a.ini", "[DEFAULT]\nx = %(y)s ‹app.whole› 100%\n"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text"), MAPPED)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_keys_and_values_get_the_new_names(path: str, text: str, end: str, mark: str, exports: Exports) -> None:
    """Whole names in keys and values are replaced; comments, anchors, ends of lines and a byte order mark stay."""
    text = mark + text.replace("\n", end)
    done = config(re.sub("[‹›]", "", text).encode(), path, exports)
    assert re.sub("‹(.*?)›", lambda match: NAMES[match[1]], text) == done.text
    assert text.count("‹") == len(done.mapped)
    assert [] == done.left


UNTOUCHED = [
    ("a.yaml", "# app.one.Old\nx: 1"),
    ("a.yaml", "x: app.onex\ny: myapp.one.Old\nz: x.app.one.Old\nu: app.one_.Old\nv: app.one-x.Old"),
    ("a.yaml", "x: app/one.py\ny: docs/app.one.Old.md\nz: https://x/app.one.Old\nu: app.one.Old/x\nv: me@app.one.Old"),
    ("a.yaml", "x: app.other.Old\ny: app\nz: top\nu: [Old]\nv: top:spin"),
    ("a.toml", '# "app.one.Old"\nx = "app.other" # app.one.Old'),
    ("a.toml", "[tool.app]\nother.one = 1\n"),
    ("a.ini", "[x]\n# app.one.Old\n; app.one.Old\ny = 1 # app.one.Old\n"),
    ("a.yaml", "x: [app.other"),
    ("a.toml", "x = app.other"),
    ("a.ini", "app.other"),
    ("a.yaml", ""),
]


@pytest.mark.parametrize(("path", "text"), UNTOUCHED)
def test_other_text_stays(path: str, text: str, exports: Exports) -> None:
    """Comments, near misses, paths, addresses and single words are not touched and not told."""
    done = config(text.encode(), path, exports)
    assert (text, []) == (done.text, done.findings)


LEFT = [
    ("a.yaml", "\n  x: app.one.Gone", "removed", "app.one.Gone", (2, 6)),
    ("a.yaml", "é: app.one.Changed", "behaviour_changed", "app.one.Changed", (1, 4)),
    ("a.yaml", "x: app.one.stray", "unknown_name", "app.one.stray", (1, 4)),
    ("a.yaml", "x: [y, app.one]", "scattered_module", "app.one", (1, 8)),
    ("a.yaml", "x: app.whole.forgotten", "unbound_name", "app.whole.forgotten", (1, 4)),
    ("a.yaml", "x: app.whole:forgotten", "unbound_name", "app.whole.forgotten", (1, 4)),
    ("a.toml", "x = ['a',\n 'app.one.*']", "scattered_module", "app.one", (2, 3)),
    ("a.ini", "[mypy-app.one.*]", "scattered_module", "app.one", (1, 7)),
    ("a.ini", "[x]\nqualname=app.one\n", "scattered_module", "app.one", (2, 10)),
    # ------------------------------------------------------------------ not written as they are
    ("a.yaml", 'x: "\\napp.one.Old"', "config", "app.one.Old", (1, 4)),
    ("a.yaml", 'x: "app.one.\\\n  Old"', "config", "app.one.Old", (1, 4)),
    ("a.toml", 'x = "\\tapp.one.Old"', "config", "app.one.Old", (1, 6)),
    ("a.toml", 'x = """app.one.\\\n  Old"""', "config", "app.one.Old", (1, 8)),
    ("a.toml", "[logging.loggers.app.whole]\n", "config", "app.whole", (1, 2)),
    ("a.toml", "app . one.Old = 1", "config", "app.one.Old", (1, 1)),
    ("a.toml", "[tool.app.one]", "scattered_module", "app.one", (1, 2)),
    # ------------------------------------------------------------------ what would not say the same
    ("a.yaml", "{app.one.Old: 1, new.alpha.New: 2}", "config", "app.one.Old", (1, 2)),
    ("a.toml", "'app.one.Old' = 1\n'new.alpha.New' = 2", "config", "app.one.Old", (1, 2)),
    ("a.ini", "[app.whole]\n[new.whole]", "config", "app.whole", (1, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "rule", "old", "place"), LEFT)
def test_what_the_tool_cannot_write_is_told(
    path: str, text: str, rule: str, old: str, place: tuple[int, int], exports: Exports
) -> None:
    """What did not move as it is, or cannot be replaced in place, stays and is told with its place."""
    done = config(text.encode(), path, exports)
    assert (text, [(rule, old)], [place]) == (done.text, done.left, done.places)


def test_some_names_of_a_value_may_be_left(exports: Exports) -> None:
    """Each name is done by itself; what is left keeps nothing else from being rewritten."""
    done = config(b"[x]\ny = app.one.Old app.one.Gone\n  app.whole", "a.ini", exports)
    assert "[x]\ny = new.alpha.New app.one.Gone\n  new.whole" == done.text
    assert [("removed", "app.one.Gone")] == done.left
    assert [(2, 5), (2, 17), (3, 3)] == done.places


def test_a_value_with_escapes_keeps_nothing_else(exports: Exports) -> None:
    """A value that cannot be edited in place is left, and the others are rewritten."""
    done = config(b'x: "\\napp.one.Old"\ny: app.one.Two', "a.yaml", exports)
    assert 'x: "\\napp.one.Old"\ny: new.alpha.Two' == done.text
    assert [("config", "app.one.Old")] == done.left


BROKEN = [
    ("a.yaml", b"x: 1\ny: [app.one.Old\n", 3),
    ("a.yaml", b"{{ x }}\nz: app.one.Old\n: :", 2),
    ("a.toml", b"x = 1\ny = app.one.Old", 2),
    ("a.ini", b"\nx = app.one.Old", 2),
    ("a.ini", b"[x]\n\n= app.one.Old", 3),
    ("a.yaml", b"x: 1\ny: \xe9 app.one.Old", 2),
    ("a.toml", "x = 1\ny = 'app.one.Old'".encode("utf-16"), 2),
]


@pytest.mark.parametrize(("path", "raw", "line"), BROKEN)
def test_files_that_cannot_be_read_are_refused(path: str, raw: bytes, line: int, exports: Exports) -> None:
    """A file that holds an old name, and is not in UTF-8 or cannot be parsed, is refused with the line."""
    with pytest.raises(NotReadable) as refused:
        rewrite_config(raw, path, LOOKUP, exports)
    assert line == refused.value.line


def test_other_encodings_without_old_names_are_nothing(exports: Exports) -> None:
    """A file in another encoding that holds no old name is not looked at."""
    assert ([], []) == rewrite_config(b"x: \xe9 app", "a.yaml", LOOKUP, exports)


def test_deep_nesting_is_refused(exports: Exports) -> None:
    """A file nested beyond measure is told, and ends no process."""
    text = "x: " + "[" * 3_000 + "app.one.Old"
    with pytest.raises(NotReadable):
        rewrite_config(text.encode(), "a.yaml", LOOKUP, exports)
    with pytest.raises(NotReadable):
        rewrite_config(text.replace(":", " =").encode(), "a.toml", LOOKUP, exports)


# ------------------------------------------------------------------ whatever is written

#: Words of a value, and what they become.
WORDS = {"app.one.Old": "new.alpha.New", "app.whole:helper": "new.whole:helper", "app.flat.": "flat.", "é": "é",
         "app.onex": "app.onex", "x": "x", "app": "app", "ap.one": "ap.one", "-": "-", "'": "'", '"': '"'}  # fmt: skip

VALUES = st.lists(st.sampled_from(list(WORDS)), min_size=1, max_size=6)
DOCUMENTS = st.dictionaries(st.text("abc", min_size=1), VALUES, min_size=1, max_size=4)


def _said(document: dict[str, list[str]], *, after: bool) -> dict[str, str]:
    """A document of the words, as they are or as they become; a key is an old name as well."""
    values = {f"k.{key}": " ".join(WORDS[one] if after else one for one in words) for key, words in document.items()}
    return values | {"new.alpha.Same" if after else "app.one.Same": "v"}


@given(
    DOCUMENTS, st.sampled_from([None, "'", '"', "|", ">"]), st.integers(10, 80), st.sampled_from([True, False, None])
)
def test_any_yaml_says_the_same_with_new_names(
    exports: Exports, document: dict[str, list[str]], style: str | None, width: int, flow: bool | None
) -> None:
    """However a document is written in YAML, afterwards it says the same with each name mapped."""
    before = yaml.safe_dump(
        _said(document, after=False), default_style=style, width=width, default_flow_style=flow, allow_unicode=True
    )
    done = config(before.encode(), "a.yaml", exports)
    assert _said(document, after=True) == yaml.safe_load(done.raw)
    assert [] == done.left


@given(DOCUMENTS, st.booleans())
def test_any_toml_says_the_same_with_new_names(exports: Exports, document: dict[str, list[str]], is_long: bool) -> None:
    """However a document is written in TOML, afterwards it says the same with each name mapped."""
    pairs = _said(document, after=False).items()
    quote = '""' if is_long else ""
    lines = [f"{json.dumps(key)} = {quote}{json.dumps(value)}{quote} # {value}" for key, value in pairs]
    done = config("\n".join(lines).encode(), "a.toml", exports)
    assert _said(document, after=True) == tomllib.loads(done.text)
    assert [line.partition(" # ")[2] for line in lines] == [line.partition(" # ")[2] for line in done.text.splitlines()]


@given(DOCUMENTS, st.sampled_from([" ", "\n  ", "\n\t# app.one.Old\n    "]))
def test_any_ini_file_says_the_same_with_new_names(
    exports: Exports, document: dict[str, list[str]], between: str
) -> None:
    """However a document is written in an INI file, afterwards it says the same with each name mapped."""
    pairs = _said(document, after=False).items()
    lines = [f"{key} = {value.replace(' ', between)}" for key, value in pairs]
    done = config("\n".join(["[app.one.Two]", *lines]).encode(), "a.ini", exports)
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(done.text)
    assert ["new.alpha.Two"] == parser.sections()
    told = {key: " ".join(value.split()) for key, value in parser.items("new.alpha.Two")}
    assert _said(document, after=True) == told
    assert done.text.count("app.one.Old") == "\n".join(lines).count("# app.one.Old")


NOISE = st.lists(st.sampled_from([*"[]{}'\"=:#,-|>&*!%\\. \n\t", "a", "app", "one", "Old", "é", "---"]), max_size=30)


@given(NOISE.map("".join), st.sampled_from(["a.yaml", "a.toml", "a.ini"]))
def test_noise_is_edited_in_old_names_only(exports: Exports, text: str, path: str) -> None:
    """Whatever a file holds: it is refused or edited, and edits are of old names only."""
    try:
        edits, _ = rewrite_config(text.encode(), path, LOOKUP, exports)
    except NotReadable:
        assert "app.one" in text
        return
    assert {b"app.one.Old"} >= {text.encode()[edit.start : edit.end] for edit in edits}
