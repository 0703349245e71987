"""The keys as a list: for the help, for the palette, and to tell the profile's rebindings from typing errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from checks.text import Clean, clean

Row = tuple[str, str, str]
"""Keys, what they do, id."""


def declared(kind: type[DOMNode]) -> list[Binding]:
    """The bindings with an id that a class and its bases declare; those without are the framework's own."""
    classes = [base for base in kind.__mro__ if issubclass(base, DOMNode)]
    found = [entry for base in classes for entry in base.__dict__.get("BINDINGS", ())]
    return [entry for entry in found if isinstance(entry, Binding) and entry.id]


def known_ids(kinds: Iterable[type[DOMNode]]) -> set[str]:
    """Every id that a profile may bind anew."""
    return {str(entry.id) for kind in kinds for entry in declared(kind)}


def key_problems(
    keys: Mapping[str, str],
    app: type[DOMNode],
    tabs: Iterable[tuple[type[DOMNode], tuple[type[DOMNode], ...]]],
) -> tuple[dict[str, str], list[Clean]]:
    """The rebindings of a profile that can be used, and a sentence for each that cannot or that takes a key twice.

    `tabs` are the tabs with the widgets in them that have keys of their own.
    """
    tabs = tuple(tabs)
    known = known_ids((app, *(kind for tab, parts in tabs for kind in (tab, *parts))))
    usable = {name: key for name, key in keys.items() if name in known}
    told = [
        f"[console] keys: there is no binding {name}; `?` shows the ids at the right."
        for name in keys
        if name not in known
    ]
    for tab, parts in tabs:
        for part in parts or (tab,):
            told += _taken_twice(usable, (app, tab, part))
    return usable, [clean(sentence) for sentence in dict.fromkeys(told)]


def _taken_twice(keys: Mapping[str, str], kinds: Iterable[type[DOMNode]]) -> list[str]:
    taken: dict[str, str] = {}
    told: dict[str, str] = {}
    for entry in dict.fromkeys(entry for kind in kinds for entry in declared(kind)):
        name = str(entry.id)
        for single in Binding.make_bindings([entry.with_key(keys.get(name, entry.key))]):
            other = taken.setdefault(single.key, name)
            if other != name and (name in keys or other in keys):
                sentence = f"{other} and {name} are both bound to {single.key}; give one another key."
                told.setdefault(single.key, f"[console] keys: {sentence}")
    return list(told.values())


def key_sections(app: App[Any], tab: Screen[Any], keymap: Mapping[str, str]) -> dict[str, list[Row]]:
    """The keys of a tab and of what is in it, then those of the app, as the profile binds them."""
    kinds = dict.fromkeys([type(tab), *(type(child) for child in tab.query("*"))])
    here = [entry for kind in kinds for entry in declared(kind)]
    title = getattr(tab, "TAB", None)
    return {
        f"In {title.title}" if title else "Here": _rows(app, here, keymap),
        "Everywhere": _rows(app, declared(type(app)), keymap),
    }


def palette_commands(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """What the keys do that work at this moment, as commands; what only moves has no tooltip."""
    seen: set[str] = set()
    for node, binding, enabled, tooltip in screen.active_bindings.values():
        if binding.id and enabled and tooltip and binding.action not in seen:
            seen.add(binding.action)
            run: Callable[[], Any] = partial(app.run_action, binding.action, node)
            yield SystemCommand(tooltip, f"key {app.get_key_display(binding)}", run)


def _rows(app: App[Any], bindings: Iterable[Binding], keymap: Mapping[str, str]) -> list[Row]:
    rows: dict[str, Row] = {}
    for binding in bindings:
        keys = keymap.get(str(binding.id), binding.key).split(",")
        shown = " ".join(app.get_key_display(binding.with_key(key.strip())) for key in keys)
        rows.setdefault(str(binding.id), (shown, binding.tooltip or binding.description, str(binding.id)))
    return list(rows.values())
