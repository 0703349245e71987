"""Text that costs nothing while it says the same: a block of any height, and a line."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Block(Static):
    """A text, repainted only when it changed; plain strings are never read as markup."""

    is_fixed = False
    """Whether its size does not follow the text, so that no layout is needed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the framework's name
        super().__init__(id=id, markup=False)
        self._said = Content()

    @property
    def said(self) -> str:
        """The text as it stands."""
        return self._said.plain

    def say(self, text: Content | str) -> bool:
        """Show `text`; returns whether that is a change."""
        content = text if isinstance(text, Content) else Content(text)
        if content.is_same(self._said):
            return False
        self._said = content
        self.update(content, layout=not self.is_fixed)
        return True


class Line(Block):
    """A line, hidden while it has no text."""

    is_fixed = True
    DEFAULT_CSS = """
    Line { height: 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
    Line.-said { display: block; }
    """

    def say(self, text: Content | str) -> bool:
        """Show `text`; an empty one gives the room away."""
        is_change = super().say(text)
        if is_change:
            self.set_class(bool(self.said), "-said")
        return is_change
