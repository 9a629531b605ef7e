"""All commands of `tracker`, and how an error of one becomes a sentence and an exit status."""

import os
import sys

import typer

from tracker import __version__
from tracker.cli import (
    adopt,
    by_hand,
    change_jobs,
    change_letters,
    config,
    dead_letters,
    demo,
    job,
    migrate,
    partition,
    report,
    run,
    stack,
    status,
    topics,
    watch,
    why,
)
from tracker.cli.errors import explain
from tracker.cli.streams import take_any_text

app = typer.Typer(
    name="tracker",
    help="Track jobs made of many tasks, from Kafka into PostgreSQL and back.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and errors: rich is loaded only where something is drawn.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
job.app.command("watch")(watch.watch)
job.app.command("why")(why.why)
for change in (
    change_jobs.cancel,
    change_jobs.pause,
    change_jobs.resume,
    change_jobs.retry,
    change_jobs.delete,
    by_hand.release,
    by_hand.prerequisites,
    report.report,
):
    job.app.command()(change)
dead_letters.app.command("replay")(change_letters.replay)
dead_letters.app.command("drop")(change_letters.drop)
app.add_typer(job.app, name="job")
app.add_typer(partition.app, name="partition")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(stack.app, name="stack")
app.command("migrate")(migrate.migrate)
app.command("topics")(topics.topics)
app.command("config")(config.config)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("adopt")(adopt.adopt)
app.command("demo")(demo.demo)


def run_command() -> int:
    """Do what the arguments say; see `tracker.cli.main`."""
    take_any_text()
    try:
        exit_status = app(standalone_mode=False)
    except BrokenPipeError:
        # The reader of our output has closed it. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        explained = explain(error)
        if explained is None:  # a mistake in the program
            raise
        text, exit_status = explained
        # An argument may hold half a character, which a stream that is not the real stderr would not take.
        print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    return exit_status if isinstance(exit_status, int) else 0


@app.callback(invoke_without_command=True)
def tracker(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Track jobs made of many tasks, from Kafka into PostgreSQL and back."""
    if version:
        typer.echo(f"job-tracker {__version__}")
        raise typer.Exit
