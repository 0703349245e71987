"""What the monitoring tab asks for, handed to the engine's thread."""

from __future__ import annotations

from textual import on

from console.engine import Engine
from console.messages import ExportsWritten
from console.terminal import QuietApp
from screens.requests import ActionWanted, ExportsWanted, WatchWanted


class WatchedApp(QuietApp):
    """The part of the app that passes on what people do to the watch."""

    _engine: Engine

    @on(WatchWanted)
    def begin_to_watch(self) -> None:
        """Watch from now on; where another process watches, it is followed."""
        self._engine.watch()

    @on(ActionWanted)
    def act_on_watch(self, message: ActionWanted) -> None:
        """Do it in the engine's thread, or leave it for the process that watches."""
        self._engine.act(message.action)

    @on(ExportsWanted)
    def write_exports(self) -> None:
        """Write the rules in the engine's thread."""
        self._engine.write_exports()

    @on(ExportsWritten)
    def tell_exports(self, message: ExportsWritten) -> None:
        """The files are on disk."""
        self.notify("Exports written:\n" + "\n".join(message.paths), markup=False)
