"""The command `gonogo`: the console by default, and every part of it without a screen."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from pathlib import Path

import click

from checks.model import GonogoError, IntegrityError

EXIT_USAGE, EXIT_INTERNAL, EXIT_ALTERED, EXIT_INTERRUPTED = 2, 20, 21, 130
EXIT_PIPE = 141
"""128 + SIGPIPE, as a shell has it."""

COMMANDS = {
    "demo": ("console.commands.demo", "Start the embedded target, and the console on it."),
    "init": ("console.commands.init", "Look at the live host and write a commented gonogo.toml."),
    "run": ("console.commands.run", "Run areas without a screen."),
    "watch": ("console.commands.watch", "Watch the thresholds and tell people, as a service."),
    "notify-test": ("console.commands.watch", "Send a test message through the real channels."),
    "export": ("console.commands.export", "Hand the rules to Prometheus, Alertmanager, Grafana, systemd."),
    "status": ("console.commands.decision", "Tell the best decision that the evidence allows."),
    "decide": ("console.commands.decision", "Record a decision."),
    "report": ("console.commands.report", "Write the report files and their manifest."),
    "verify": ("console.commands.report", "Prove that reports, evidence and journal are unaltered."),
    "selftest": (
        "console.commands.selftest",
        "Put every check before its good and its bad cases on this host.",
    ),
    "checks": ("console.commands.listing", "List every check and what it will send or read."),
}
"""Command -> its module and its one line of help: a command's module is imported when it is called."""


class Commands(click.Group):
    """The commands by name, each imported when it is needed: the console must not wait for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a review uses them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command object, imported."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The target profile; default: gonogo.toml in this folder, else http://127.0.0.1:8000.",
)
@click.option("--mouse", is_flag=True, help="Let the console take the mouse.")
@click.version_option(package_name="gonogo")
@click.pass_context
def gonogo(context: click.Context, profile: Path | None, mouse: bool) -> None:
    """Is this system production-ready? Opens the console, or runs one COMMAND.

    Exit codes: 0 GO or passed, 10 NO-GO or a failure, 11 NOT DECIDABLE or inconclusive, 12 CONDITIONAL GO,
    2 usage or profile, 20 internal error, 21 the journal or a report was altered.
    """
    if context.invoked_subcommand is None:
        from console.commands.console import open_console  # brings Textual in

        context.exit(open_console(profile, mouse=mouse))
    context.obj = profile


def main() -> None:
    """Run the command line and exit with its code; a person reads one sentence, never a traceback."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; returns its exit code."""
    _open_missing_streams()
    try:
        code = gonogo.main(arguments, prog_name="gonogo", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except GonogoError as problem:
        tell(str(problem))
        return EXIT_ALTERED if isinstance(problem, IntegrityError) else EXIT_USAGE
    except (BrokenPipeError, SystemExit):  # the reader went away, as `head` does; click exits by itself then
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except Exception as problem:  # noqa: BLE001 - the last word of the program is a sentence too
        if os.environ.get("GONOGO_DEBUG"):
            traceback.print_exc()
        where = traceback.extract_tb(problem.__traceback__)[-1]
        place = f"{type(problem).__name__} at {Path(where.filename).name}:{where.lineno}"
        tell(f"An internal error ({place}); the journal is kept. GONOGO_DEBUG=1 shows the details to report.")
        return EXIT_INTERNAL
    return code if isinstance(code, int) else 0


def _open_missing_streams() -> None:
    """A closed output (`>&-`) takes what it is told, and loses it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - to the end


def tell(sentence: str) -> None:
    """One sentence for the person at the terminal, apart from what a script reads."""
    click.echo(f"gonogo: {sentence}", err=True)


if __name__ == "__main__":
    main()
