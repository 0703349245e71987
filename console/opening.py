"""The console from its start to its exit code: terminal, engine and app, and the last word when a signal comes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from checks.events import Listener
from checks.model import ReviewError
from console.app import GonogoApp
from console.engine import Engine
from console.signals import LastWord, Once
from console.terminal import Terminal, unfit

if TYPE_CHECKING:
    from checks.review import Review
    from checks.target import Target

CLOSE_WITHIN_S = 5.0
"""How long the engine may take to close the journal once the app has gone without a run under way."""


def settle() -> None:
    """Take what has been built out of later collections: one over all of it holds a key up for 100 ms."""
    gc.collect()
    gc.freeze()


def run_console(
    open_target: Callable[[], Target],
    *,
    title: str,
    mouse: bool = False,
    is_own: bool = False,
    at_exit: Callable[[], None] = lambda: None,
) -> int:
    """Show the console until it is left; returns its exit code, 128 + n after signal n.

    `is_own`: nobody else reviews this very target, so where its review is taken, another is begun beside it.

    Raises ReviewError where the terminal will not do, what opening the target or its review raised, and the
    error that the app crashed with. `at_exit` is called last in every case.
    """

    def open_review(listener: Listener) -> Review:
        from checks.review import Review  # after the first paint

        return (Review.open_own if is_own else Review.open)(open_target(), listener=listener)

    stop_rest = Once(at_exit)
    if problem := unfit(os.environ, (sys.__stdin__, sys.__stdout__, sys.__stderr__)):
        stop_rest()
        raise ReviewError(problem)
    engine = Engine(open_review)
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    app = GonogoApp(engine, title=title, encoding=encoding, settle=settle)
    last_word = LastWord(app, engine, stop_rest, Terminal())
    with last_word.listening():
        try:
            app.run(mouse=mouse)
        finally:
            last_word.app_is_gone()
            engine.end("the console ended", is_urgent=True)
            engine.ended.wait(CLOSE_WITHIN_S)
            stop_rest()
    if last_word.received:
        return 128 + last_word.received
    if failure := app.crash or engine.failure:
        raise failure
    return app.return_code or 0
