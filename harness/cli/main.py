"""The `harness` command: its commands, and what becomes of every error: one line, one code."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.base import crash, signals, streams
from harness.base.error import (
    EXIT_CRASHED,
    EXIT_INTERRUPTED,
    EXIT_NOT_JUDGED,
    EXIT_PASSED,
    EXIT_USAGE,
    CrashError,
    HarnessError,
    StoppedError,
    UsageError,
)
from harness.cli import (
    bisecting,
    comparing,
    housekeeping,
    options,
    planning,
    reporting,
    running,
    spreading,
)

_CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Entry point: one line and the right exit code, whatever becomes of the command."""
    streams.standard.install()
    signals.interruptible()
    try:
        with crash.kept(options.cache_of(_CHECKOUT)):
            code = _exit_code()
    except CrashError as problem:
        click.echo(f"harness: {problem}", err=True)
        code = EXIT_CRASHED
    sys.exit(code)


def _exit_code() -> int:
    """Runs the command that was typed; returns its exit code."""
    try:
        code = cli.main(standalone_mode=False)
        lost = streams.standard.lost()
        if lost is not None and not code:  # its output is all that the command makes
            raise OSError(lost.errno, lost.strerror, "standard output")
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.Abort:
        click.echo("harness: interrupted", err=True)
        code = EXIT_INTERRUPTED
    except click.ClickException as problem:
        problem.show(sys.stderr)
        code = EXIT_USAGE
    except UsageError as problem:
        click.echo(f"harness: {problem}", err=True)
        code = EXIT_USAGE
    except CrashError:
        raise
    except StoppedError as stopped:
        click.echo(f"harness: interrupted: {stopped}", err=True)
        code = EXIT_INTERRUPTED
    except HarnessError as problem:
        click.echo(f"harness: {problem}", err=True)
        code = EXIT_NOT_JUDGED
    except BrokenPipeError:
        # The reader of our output has left (`harness list | head`); nothing more to tell it.
        code = EXIT_NOT_JUDGED
    except SystemExit:  # click's answer to any pipe that broke
        click.echo("harness: a pipe broke", err=True)
        code = EXIT_NOT_JUDGED
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        click.echo(f"harness: {where}{problem.strerror or problem}", err=True)
        code = EXIT_NOT_JUDGED
    except KeyboardInterrupt:
        click.echo("harness: interrupted", err=True)
        code = EXIT_INTERRUPTED
    return code if isinstance(code, int) else EXIT_PASSED


class _Grouped(click.Group):
    """A group whose help lists its commands by what they are for."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a section for each group, its commands in the order in which they stand here."""
        for title, commands in _COMMANDS.items():
            with formatter.section(title):
                room = formatter.width - 6 - max(len(name) for name in self.commands)
                formatter.write_dl(
                    [(str(entry.name), entry.get_short_help_str(room)) for entry in commands]
                )


@click.group(
    cls=_Grouped,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=_CHECKOUT,
    help="Checkout that holds docker/ and scenarios/.",
)
@click.pass_context
def cli(context: click.Context, root: Path) -> None:
    """Does large-model swapping still work after a model is saved and loaded?"""
    context.obj = root.resolve()


_COMMANDS: dict[str, tuple[click.Command, ...]] = {
    "Run": (
        running.run_command,
        spreading.merge_command,
        running.repro_command,
        running.soak_command,
        running.sensitivity_command,
        running.prove_command,
        bisecting.bisect_command,
    ),
    "Look at what ran": (
        reporting.report_command,
        reporting.open_command,
        comparing.compare_command,
        comparing.baseline_command,
        comparing.history_command,
        reporting.judge_command,
    ),
    "Look at the plan": (
        planning.list_command,
        planning.describe_command,
        planning.defects_command,
        spreading.ci_generate_command,
    ),
    "This machine and the pins": (
        housekeeping.doctor_command,
        housekeeping.images_command,
        housekeeping.lock_command,
        housekeeping.data_command,
        housekeeping.clean_command,
    ),
}
for _commands in _COMMANDS.values():
    for _command in _commands:
        cli.add_command(_command)
