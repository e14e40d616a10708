"""Identifiers: what is made, and what is refused."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssot_engine.errors import InvalidContext
from ssot_engine.ids import (
    MAX_ID_LENGTH,
    PLACEHOLDERS,
    IDType,
    UnifiedIDManager,
    check_id,
    check_lasting_id,
    check_part,
    check_strict,
    made_at,
    new_id,
)

CHECKS = (check_id, check_lasting_id)


def test_made_ids_are_readable_unique_and_sort_by_time() -> None:
    """A prefix, then 32 hexadecimal digits that grow."""
    ids = [new_id("run") for _ in range(10_000)]
    assert all(re.fullmatch(r"run_[0-9a-f]{32}", one) for one in ids)
    assert sorted(set(ids)) == ids


@pytest.mark.parametrize("prefix", ["run", "engine", "legacy_compat_user", ""])
def test_an_id_tells_when_it_was_made(prefix: str) -> None:
    """In seconds since 1970, to the millisecond, whatever the prefix."""
    before = time.time()
    made = made_at(new_id(prefix))
    assert before - 0.001 <= made <= time.time()


def test_ids_made_in_many_threads_are_all_different() -> None:
    """No lock, no registry, no clash."""
    made: list[str] = []

    def work() -> None:
        made.extend(new_id("x") for _ in range(1_000))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8_000 == len(set(made))


@pytest.mark.parametrize("id_type", list(IDType))
def test_the_manager_makes_ids_of_a_type_with_a_prefix(id_type: IDType) -> None:
    """`legacy_compat_user_…` begins with its prefix, as older code expects; each passes its own check."""
    ids = UnifiedIDManager()
    prefixed = ids.generate_id(id_type, prefix="legacy_compat")
    assert prefixed.startswith(f"legacy_compat_{id_type.value}_")
    assert ids.generate_id(id_type).startswith(f"{id_type.value}_")
    assert prefixed == check_id("user_id", prefixed)


def test_the_manager_keeps_nothing() -> None:
    """It has no registry that could grow."""
    assert not hasattr(UnifiedIDManager(), "__dict__") or not vars(UnifiedIDManager())


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "good", ["a", "auth0|123", "a@b.c", "user_1", "ключ", "日本", "a b", "0" * 128, "00", "nullable", "😀", "a/b:c"]
)
def test_real_ids_pass_unchanged(check: Any, good: str) -> None:
    """Any character but controls, any script."""
    assert good == check("user_id", good)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (None, "is a NoneType; pass the id as a str"),
        (7, "is a int; pass the id as a str"),
        (b"a", "is a bytes"),
        (["a"], "is a list"),
        ("", "is blank"),
        ("  \t", "is blank"),
        ("\u00a0", "is blank"),
        ("x" * 129, "has 129 characters; at most 128"),
        ("a\x00b", "control character"),
        ("a\nb", "control character"),
        ("a\x7fb", "control character"),
        ("a\x85b", "control character"),
        ("a\u2028b", "line separator"),
        ("a\u2029b", "line separator"),
        ("a\ud800b", "lone surrogate"),
    ],
)
def test_what_cannot_be_an_id_is_refused_with_field_and_value(check: Any, bad: Any, says: str) -> None:
    """Another type, blank, too long, or with characters that break logs and wires; a second time too."""
    for _ in range(2):
        with pytest.raises(InvalidContext, match=says) as refusal:
            check("thread_id", bad)
        assert ("thread_id", bad) == (refusal.value.field, refusal.value.value)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("word", sorted(PLACEHOLDERS))
def test_placeholders_are_refused_however_written(check: Any, word: str) -> None:
    """Case and surrounding blanks do not hide one."""
    for form in (word, word.upper(), f"  {word}\u00a0"):
        with pytest.raises(InvalidContext, match="is a placeholder, not an id"):
            check("run_id", form)
    assert f"{word}x" == check("run_id", f"{word}x")


def test_a_str_subclass_is_refused() -> None:
    """What calls itself a str may compare and print as another."""

    class Sly(str):
        __slots__ = ()

    with pytest.raises(InvalidContext, match="is a Sly"):
        check_id("user_id", Sly("alice"))


@given(st.text(max_size=MAX_ID_LENGTH + 10))
def test_an_id_passes_whole_or_not_at_all(text: str) -> None:
    """Whatever is accepted is the very text, can be encoded, and prints on one line."""
    try:
        accepted = check_id("user_id", text)
    except InvalidContext:
        return
    assert accepted is text
    assert 0 < len(text) <= MAX_ID_LENGTH
    assert [text] == text.splitlines()
    assert text.encode().decode() == text


def test_a_part_of_an_id_may_be_a_placeholder_word() -> None:
    """A nested operation may be called `default`; the other rules hold."""
    assert "default" == check_part("operation", "default")
    for bad in (None, "", "a\nb", "x" * 129):
        with pytest.raises(InvalidContext):
            check_part("operation", bad)


@pytest.mark.parametrize("bad", ["test_user", "TEMP_1", " demo_x", "mock_" + "x" * 14, "registry_a", "default_x"])
def test_strict_ids_refuse_short_ids_that_begin_like_placeholders(bad: str) -> None:
    """Below 20 characters, in any case."""
    with pytest.raises(InvalidContext, match=r"begins like a placeholder; use a real id, or set context\.strict_ids"):
        check_strict("user_id", bad)


@pytest.mark.parametrize(
    "good", ["alice", "temporary", "temp_" + "x" * 15, "default_user", "default_admin", "my_test_1"]
)
def test_strict_ids_pass_what_is_real(good: str) -> None:
    """Long ids, ids that only contain such a word, and known ids of that form."""
    check_strict("user_id", good)
