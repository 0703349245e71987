"""The keys that work here: those of the tab, then those that are the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from screens.dialogs.dialog import Dialog
from screens.wording import heading

KEY_CELLS, WHAT_CELLS = 10, 45


class Keys(Dialog[None]):
    """A table of keys, with the id by which the profile rebinds each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q,enter", "close", "Back", show=False, id="keys-close"),
    ]

    def __init__(self, title: str, sections: Mapping[str, Iterable[tuple[str, str, str]]]) -> None:
        super().__init__(title, keys_text(sections), "arrows scroll   esc or ? goes back")


def keys_text(sections: Mapping[str, Iterable[tuple[str, str, str]]]) -> Content:
    """Sections of (keys, what they do, id), one key a line."""
    lines: list[Content | str] = []
    for title, rows in sections.items():
        lines += ["", heading(title)] if lines else [heading(title)]
        for keys, description, name in rows:
            what = f"{description:{WHAT_CELLS}} "
            lines.append(Content.assemble((f"{keys:{KEY_CELLS}}", "bold"), what, (name, "$foreground-muted")))
    lines += ["", '[console] keys = { id = "key" } in the profile binds a key anew.']
    return Content("\n").join(lines)
