"""Facts about text that is wrapped while it arrives."""

from __future__ import annotations

import pytest

from ssot_engine.cli.wrapping import Wrapper

TEXT = "the quick brown fox\n\n  - jumps over the lazy dog, unbelievablylong"
WRAPPED = "the quick\nbrown fox\n\n  - jumps\nover the\nlazy dog,\nunbelievablylong"


def test_lines_break_between_words() -> None:
    """Line ends and indents of the text stay; a word longer than a line is left whole."""
    wrapper = Wrapper(10)
    assert WRAPPED == wrapper.feed(TEXT) + wrapper.flush()


@pytest.mark.parametrize("size", range(1, 12))
def test_pieces_of_any_size_give_the_same_lines(size: int) -> None:
    """Wherever the stream was cut, also inside a word."""
    wrapper = Wrapper(10)
    pieces = [wrapper.feed(TEXT[start : start + size]) for start in range(0, len(TEXT), size)]
    assert WRAPPED == "".join(pieces) + wrapper.flush()


def test_a_word_of_wide_characters_counts_twice() -> None:
    """Width is in cells of the terminal."""
    wrapper = Wrapper(6)
    assert wrapper.feed("文字 文字") + wrapper.flush() == "文字\n文字"
