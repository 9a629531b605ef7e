"""The command line: thin; each module of this package is one group of commands."""

import os
import sys

import typer

from tracker import __version__
from tracker.cli import adopt, config, demo, job, migrate, partition, run, stack, topics
from tracker.cli.streams import take_any_text
from tracker.errors import SettingsError, TrackerError, WaitTimedOut, sentence

app = typer.Typer(
    name="tracker",
    help="Track jobs made of many tasks, from Kafka into PostgreSQL and back.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and errors: rich is loaded only where something is drawn.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(job.app, name="job")
app.add_typer(partition.app, name="partition")
app.add_typer(stack.app, name="stack")
app.command("migrate")(migrate.migrate)
app.command("topics")(topics.topics)
app.command("config")(config.config)
app.command("run")(run.run)
app.command("adopt")(adopt.adopt)
app.command("demo")(demo.demo)


def main() -> int:
    """Run the command line and return its exit status.

    0: done; 1: refused or failed; 2: wrong usage or settings; 3: timed out; 130: Ctrl-C.
    Whatever goes wrong is a plain sentence on stderr, or one for each wrong setting, and never a traceback.
    """
    take_any_text()
    try:
        status = app(standalone_mode=False)
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        explained = _explain(error)
        if explained is None:  # a mistake in the program
            raise
        text, status = explained
        # An argument may hold half a character, which a stream that is not the real stderr would not take.
        print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    return status if isinstance(status, int) else 0


@app.callback(invoke_without_command=True)
def tracker(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Track jobs made of many tasks, from Kafka into PostgreSQL and back."""
    if version:
        typer.echo(f"job-tracker {__version__}")
        raise typer.Exit


def _explain(error: Exception) -> tuple[str, int] | None:
    """Return what a user sees for an error, and the exit status; None for a mistake in the program."""
    if isinstance(error, SettingsError):
        return str(error), 2
    if isinstance(error, TrackerError):
        return sentence(str(error)), 3 if isinstance(error, WaitTimedOut) else 1
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        # When a command is missing, the message is the help; else it is a sentence.
        return (
            text
            if "\n" in text
            else f"{text.rstrip('.')}; --help says what is possible{_after_dashes(error)}."
        ), error.exit_code
    if isinstance(error, OSError):
        return f"The system refused: {error}.", 1
    reason = _drivers_reason(error)
    return (sentence(reason), 1) if reason else None


def _drivers_reason(error: Exception) -> str:
    """Return what an error of PostgreSQL's or Kafka's driver means that no command has explained."""
    # They take 100 ms to load, and there is no error of a driver that is not loaded.
    if "psycopg" in sys.modules:
        import psycopg

        from tracker.store import explain as store

        if isinstance(error, psycopg.Error):
            return str(store.explain(error))
    if "confluent_kafka" in sys.modules:
        from confluent_kafka import KafkaException

        from tracker.kafka import explain as kafka

        if isinstance(error, KafkaException):
            return kafka.explain(error.args[0])
    return ""


def _after_dashes(error: typer.TyperException) -> str:
    """Say how to give an ID that begins with ``-``, where one may have been meant."""
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if not option or context is None:
        return ""
    if not any(parameter.param_type_name == "argument" for parameter in context.command.params):
        return ""
    typed = next((text for text in sys.argv[1:] if text.startswith(option)), option)
    return f", and if {typed} is not an option, give it after --: {context.command_path} -- {typed}"
