"""Text that arrives in pieces, broken between words at the width of a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

_TOKENS = re.compile(r"\n|[^\S\n]+|\S+")


class Wrapper:
    """Turns pieces of text into pieces that fit lines of `width` cells. The last word waits until it is whole."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._used = 0
        self._word = ""
        self._space = ""

    def feed(self, text: str) -> str:
        """What can be written now."""
        return "".join(self._pieces(text))

    def flush(self) -> str:
        """The word that waited."""
        return "".join(self._end_word())

    def _pieces(self, text: str) -> Iterator[str]:
        for token in _TOKENS.findall(text):
            if token == "\n":
                yield from self._end_word()
                yield token
                self._used, self._space = 0, ""
            elif token.isspace():
                yield from self._end_word()
                self._space += token
            else:
                self._word += token

    def _end_word(self) -> Iterator[str]:
        if not self._word:
            return
        needed = cell_len(self._space) + cell_len(self._word)
        if self._used and self._used + needed > self._width:
            yield "\n"
            self._used, self._space, needed = 0, "", cell_len(self._word)
        yield self._space + self._word
        self._used += needed
        self._word = self._space = ""
