"""The path of a message as a line, with the part that is being crossed lit."""

from __future__ import annotations

from textual.content import Content

from widgets.line import Line


class SequenceLine(Line):
    """`UI → 8000 → bot → database`; the lit part stands in brackets, so that no colour is needed to see it."""

    def show(self, hops: tuple[tuple[str, str], ...], lit: str, note: Content) -> None:
        """Show the hops (name, label), the one named `lit` marked, and `note` behind them."""
        parts: list[Content] = []
        for name, label in hops:
            is_lit = name == lit
            arrow = Content.styled("→" if parts else " ", "$foreground-muted")
            styled = Content.styled(f"[{label}]", "bold $text-accent") if is_lit else Content(f" {label} ")
            parts += [arrow, styled]
        self.say(Content.assemble(*parts, "   ", note))
