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


def unknown_keys(keys: Mapping[str, str], known: set[str]) -> dict[str, Clean]:
    """Rebindings of an id that does not exist -> the sentence that says so."""
    return {
        name: clean(f"[console] keys: there is no binding {name}; `?` shows the ids at the right.")
        for name in keys
        if name not in known
    }


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
    """What the keys do that work at this moment, as commands."""
    seen: set[str] = set()
    for node, binding, enabled, tooltip in screen.active_bindings.values():
        if binding.id and enabled and binding.action not in seen and binding.action != "command_palette":
            seen.add(binding.action)
            run: Callable[[], Any] = partial(app.run_action, binding.action, node)
            yield SystemCommand(
                tooltip or binding.description,
                f"{binding.description}: key {app.get_key_display(binding)}",
                run,
            )


def _rows(app: App[Any], bindings: Iterable[Binding], keymap: Mapping[str, str]) -> list[Row]:
    rows: dict[str, Row] = {}
    for binding in bindings:
        keys = keymap.get(str(binding.id), binding.key).split(",")
        shown = " ".join(app.get_key_display(binding.with_key(key.strip())) for key in keys)
        rows.setdefault(str(binding.id), (shown, binding.tooltip or binding.description, str(binding.id)))
    return list(rows.values())
