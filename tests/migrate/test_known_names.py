"""Local names that other files may know."""

from __future__ import annotations

import pytest

from ssot_engine.migrate.scanning.known_names import known_names

CONSUMER = ("app/consumer.py", b"from app.one import Old\n")


@pytest.mark.parametrize(
    "text",
    [
        b"from app.consumer import Old",
        b"patch('app.consumer.Old')",
        b"from .consumer import Old",
        b"import consumer\nconsumer.Old",
        b"from consumer import *\nOld()",
        b"engine: app.consumer.Old",
    ],
)
def test_name_beside_its_module_is_known(text: bytes) -> None:
    """A file that holds the local name and the module's, both as words, may mean it."""
    found = known_names({"app/consumer.py": ["Old"]}, [CONSUMER, ("other.py", text)])
    assert {"app/consumer.py": {"Old": "other.py"}} == found


@pytest.mark.parametrize(
    "text",
    [b"from app.one import Old", b"import app.consumer", b"consumers Old", b"consumer Older", b"from . import Old"],
)
def test_one_of_both_is_not_enough(text: bytes) -> None:
    """A file that holds only one of the two, or something longer, does not know the name."""
    assert {"app/consumer.py": {}} == known_names({"app/consumer.py": ["Old"]}, [CONSUMER, ("other.py", text)])


def test_own_file_does_not_count() -> None:
    """A file may call itself as it likes."""
    own = ("app/consumer.py", b"from app.one import Old  # for the consumer\n")
    assert {"app/consumer.py": {}} == known_names({"app/consumer.py": ["Old"]}, [own])


@pytest.mark.parametrize("text", [b"from . import Old", b"from .. import Old", b"from app import Old"])
def test_package_is_known_by_relative_imports(text: bytes) -> None:
    """The names of a package's own file are reached by its folder's name, and by relative imports without it."""
    found = known_names({"src/app/__init__.py": ["Old"]}, [("src/app/part.py", text)])
    assert {"src/app/__init__.py": {"Old": "src/app/part.py"}} == found


def test_each_name_is_judged_for_itself() -> None:
    """Of several names and files only those are known that another file holds together; the first one is told."""
    local = {"a.py": ["One", "Two"], "b.py": ["One"]}
    files = [("c.py", b"a.One"), ("d.py", b"a.One b"), ("e.py", "b größe a Zwei".encode())]
    assert {"a.py": {"One": "c.py"}, "b.py": {"One": "d.py"}} == known_names(local, files)


def test_names_that_are_not_ascii() -> None:
    """Names are whole words in any alphabet."""
    local = {"a.py": ["Größe"]}
    assert {"a.py": {}} == known_names(local, [("b.py", "a Größen".encode())])
    assert {"a.py": {"Größe": "b.py"}} == known_names(local, [("b.py", "a.Größe".encode())])
