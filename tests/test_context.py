"""The context: checked when made, and nothing of it can change."""

from __future__ import annotations

import copy
import datetime
import pickle
import sys
import threading
from collections import OrderedDict
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssot_engine.context import MAX_DEPTH, UserExecutionContext
from ssot_engine.errors import InvalidContext


def made(**changes: Any) -> UserExecutionContext:
    return UserExecutionContext(**{"user_id": "alice", "thread_id": "t-1", "run_id": "r-1", **changes})


def test_a_context_has_what_it_was_given_and_a_request_id_of_its_own() -> None:
    """Ids as passed; without `request_id` a fresh one, different each time."""
    context = made(request_id="req-1", metadata={"plan": "pro"})
    assert ("alice", "t-1", "r-1", "req-1", 0, None, {"plan": "pro"}) == (
        context.user_id,
        context.thread_id,
        context.run_id,
        context.request_id,
        context.depth,
        context.parent_request_id,
        dict(context.metadata),
    )
    assert made().request_id != made().request_id


def test_the_named_constructors_make_the_same() -> None:
    """`from_request` and `from_request_supervisor`, by position and by name."""
    whole = ("alice", "t-1", "r-1", "req-1", {"a": 1})
    contexts = [
        UserExecutionContext(*whole),
        UserExecutionContext.from_request(*whole),
        UserExecutionContext.from_request_supervisor(*whole),
        UserExecutionContext.from_request_supervisor(
            user_id="alice", thread_id="t-1", run_id="r-1", request_id="req-1", metadata={"a": 1}
        ),
    ]
    assert 1 == len(set(contexts))
    assert contexts[0] != made(request_id="req-1", metadata={"a": 2})
    assert contexts[0] != "alice"


@pytest.mark.parametrize("field", ["user_id", "thread_id", "run_id", "request_id"])
@pytest.mark.parametrize("bad", ["", "  ", "None", "registry", " registry ", "a\nb", "x" * 129, 7, b"alice"])
def test_a_bad_id_is_refused_with_its_field(field: str, bad: Any) -> None:
    """Each of the four ids is checked; blanks around a placeholder do not hide it."""
    with pytest.raises(InvalidContext) as refusal:
        made(**{field: bad})
    assert (field, bad) == (refusal.value.field, refusal.value.value)


@pytest.mark.parametrize("field", ["user_id", "thread_id", "run_id"])
def test_a_missing_id_is_refused_as_what_it_is(field: str) -> None:
    """None gives InvalidContext that names the field, not an error about None."""
    with pytest.raises(InvalidContext, match=f"{field} None is a NoneType; pass the id as a str"):
        made(**{field: None})


class Colour(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ([("a", 1)], "metadata"),
        ("text", "metadata"),
        (5, "metadata"),
        ({1: "a"}, "metadata"),
        ({"a": {1: "b"}}, "metadata['a']"),
        ({"a": {1, 2}}, "metadata['a']"),
        ({"a": [b"x"]}, "metadata['a'][0]"),
        ({"a": datetime.datetime.now(datetime.UTC)}, "metadata['a']"),
        ({"a": Colour.RED}, "metadata['a']"),
        ({"a": Number.ONE}, "metadata['a']"),
        ({"a": object()}, "metadata['a']"),
        ({"lock": threading.Lock()}, "metadata['lock']"),
        ({"a": float("nan")}, "metadata['a']"),
        ({"a": [{"b": float("inf")}]}, "metadata['a'][0]['b']"),
        ({"a": 10**5000}, "metadata"),
        ({"a": "\ud800"}, "metadata"),
        ({"\ud800": 1}, "metadata"),
        ({"a": MappingProxyType({})}, "metadata['a']"),
        ({"a": "x" * 70_000}, "metadata"),
    ],
)
def test_metadata_that_is_no_plain_json_is_refused_with_its_path(metadata: Any, field: str) -> None:
    """Where the encoder would guess or lose what a value was, the error names the place."""
    with pytest.raises(InvalidContext) as refusal:
        made(metadata=metadata)
    assert field == refusal.value.field


def test_metadata_that_holds_itself_is_refused() -> None:
    """A cycle is an error of the caller, not a crash."""
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(InvalidContext, match="is nested too deep, or holds itself"):
        made(metadata=loop)


def test_any_mapping_is_taken_as_metadata() -> None:
    """Empty, None, ordered, read-only: what is read is a plain mapping."""
    assert [{}, {}, {"a": [1, 2]}, {"a": None}] == [
        dict(made(metadata=metadata).metadata)
        for metadata in (None, {}, OrderedDict(a=(1, 2)), MappingProxyType({"a": None}))
    ]


@pytest.mark.parametrize("key", ["dialog", "blog", "catalog", "login_x", "audit", "user_agent", "url"])
def test_metadata_stays_whole_whatever_its_keys_contain(key: str) -> None:
    """No part of a key decides where a value goes."""
    assert {key: 1} == dict(UserExecutionContext.from_request_supervisor("a", "b", "c", metadata={key: 1}).metadata)


# ---------------------------------------------------------------------- immutability


@pytest.mark.parametrize("name", ["user_id", "run_id", "depth", "metadata", "_metadata", "other", "request_id"])
def test_no_field_can_be_assigned_or_deleted(name: str) -> None:
    """The error says what to do instead."""
    context = made()
    with pytest.raises(AttributeError, match="a context cannot change"):
        setattr(context, name, "mallory")
    with pytest.raises(AttributeError, match="a context cannot change"):
        delattr(context, name)
    assert "alice" == context.user_id


def test_what_the_caller_changes_later_is_not_seen() -> None:
    """Metadata is taken as it was, at any depth."""
    metadata: dict[str, Any] = {"list": [1], "deep": {"user_id": "alice"}}
    context = made(metadata=metadata)
    metadata["list"].append(2)
    metadata["deep"]["user_id"] = "mallory"
    metadata["new"] = 1
    assert {"list": [1], "deep": {"user_id": "alice"}} == dict(context.metadata)


def test_what_a_reader_changes_does_not_reach_the_context() -> None:
    """The mapping refuses assignment; what lies in it is the reader's own copy."""
    context = made(metadata={"deep": {"a": 1}})
    with pytest.raises(TypeError):
        context.metadata["user_id"] = "mallory"  # type: ignore[index]
    context.metadata["deep"]["a"] = 2
    dict(context.metadata)["deep"]["a"] = 3
    context.to_dict()["metadata"]["deep"]["a"] = 4
    assert {"deep": {"a": 1}} == dict(context.metadata)


def test_two_contexts_share_nothing_mutable() -> None:
    """Made from one metadata object, each reads objects of its own."""
    shared = {"list": [1]}
    one, two = made(metadata=shared), made(user_id="bob", metadata=shared)
    assert one.metadata["list"] is not two.metadata["list"]
    assert one.metadata["list"] is not one.metadata["list"]


def test_a_context_has_no_place_for_anything_else() -> None:
    """No instance dictionary that could carry a user's object along."""
    assert not hasattr(made(), "__dict__")


def test_a_context_costs_no_walk_of_the_heap() -> None:
    """Making one looks at nothing but what it is given: no frame, module or object of the process is visited."""
    called: list[str] = []

    def watch(frame: Any, event: str, arg: Any) -> None:
        if event == "c_call":
            called.append(arg.__qualname__)

    sys.setprofile(watch)
    try:
        made(metadata={"a": 1})
    finally:
        sys.setprofile(None)
    assert not {"get_objects", "extract_stack", "getframe", "_getframe"} & set(called)
    assert len(called) < 60


# -------------------------------------------------------------------------- children


def test_a_child_is_the_same_request_one_deeper() -> None:
    """Same user, thread, run and metadata; a request id of its own that names the operation; its parent's beside it."""
    parent = made(metadata={"a": [1]})
    child = parent.child("look up")
    assert ("alice", "t-1", "r-1", 1, parent.request_id) == (
        child.user_id,
        child.thread_id,
        child.run_id,
        child.depth,
        child.parent_request_id,
    )
    assert dict(parent.metadata) == dict(child.metadata)
    assert child.request_id.startswith("req_look up_")
    assert child.request_id != parent.child("look up").request_id


def test_a_child_copies_no_live_objects() -> None:
    """There are none in a context: what cannot be copied was refused when it was made."""
    with pytest.raises(InvalidContext, match="is a lock, not a plain JSON value"):
        made(metadata={"lock": threading.Lock()}).child("x")


def test_children_nest_to_the_limit() -> None:
    """The tenth is made, the eleventh refused."""
    context = made()
    for _ in range(MAX_DEPTH):
        context = context.child("step")
    assert 10 == context.depth
    with pytest.raises(InvalidContext, match="depth 11 is too deep; contexts nest at most 10 times"):
        context.child("step")


def test_a_childs_operation_may_be_any_name() -> None:
    """`default` is no id and may be one; blank, long or with a line break it may not."""
    assert made().child("default").request_id.startswith("req_default_")
    for bad in ("", "a\nb", "x" * 129, None):
        with pytest.raises(InvalidContext) as refusal:
            made().child(bad)  # type: ignore[arg-type]
        assert "operation" == refusal.value.field


# --------------------------------------------------------------------- there and back

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abcé", max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
IDS = st.text(alphabet="abcdefgh|@.-ключ", min_size=5, max_size=20)


@given(st.builds(made, user_id=IDS, thread_id=IDS, run_id=IDS, metadata=st.dictionaries(st.text("abc"), JSON)))
def test_a_context_comes_back_equal_from_dict_pickle_and_copy(context: UserExecutionContext) -> None:
    """Also a child; and a copy is the object itself, since nothing can change."""
    for original in (context, context.child("step").child("further")):
        for back in (UserExecutionContext.from_dict(original.to_dict()), pickle.loads(pickle.dumps(original))):
            assert original == back
            assert hash(original) == hash(back)
            assert original.to_dict() == back.to_dict()
        assert copy.copy(original) is original
        assert copy.deepcopy(original) is original
        assert copy.deepcopy([original])[0] is original


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"user": "bob"}, r"context \['user'\] are no fields of a context"),
        ({"user_id": None}, "user_id None"),
        ({"depth": -1}, "depth -1 is no whole number from 0 to 10"),
        ({"depth": 11}, "depth 11"),
        ({"depth": True}, "depth True"),
        ({"depth": "1"}, "depth '1'"),
        ({"parent_request_id": ""}, "parent_request_id '' is blank"),
        ({"metadata": [1]}, "is no mapping"),
        ({"metadata": {"a": {1}}}, r"metadata\['a'\]"),
    ],
)
def test_from_dict_refuses_what_a_context_cannot_be(change: dict[str, Any], says: str) -> None:
    """What came over a wire is checked like anything else."""
    with pytest.raises(InvalidContext, match=says):
        UserExecutionContext.from_dict({**made().to_dict(), **change})


def test_from_dict_names_what_is_missing() -> None:
    """All that lacks, at once."""
    with pytest.raises(InvalidContext, match="lacks thread_id, run_id"):
        UserExecutionContext.from_dict({"user_id": "alice"})


def test_repr_shows_ids_and_the_names_of_metadata_only() -> None:
    """A value in the metadata may be a secret."""
    text = repr(made(metadata={"api_key": "hunter2"}))
    assert "user_id='alice'" in text
    assert "['api_key']" in text
    assert "hunter2" not in text
