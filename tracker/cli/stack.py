"""`tracker stack`: a local Kafka and PostgreSQL for development."""

import os
import shlex
from typing import Annotated

import typer

app = typer.Typer(
    help="Start, end and find a local Kafka and PostgreSQL.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Option(help="Which stack; several can be up at once.")]


@app.command()
def up(
    name: Name = "default",
    brokers: Annotated[int, typer.Option(min=1, max=9, help="Number of Kafka brokers.")] = 1,
) -> None:
    """Start a stack and leave it running.

    Servers that TRACKER_KAFKA_BOOTSTRAP_SERVERS and TRACKER_DATABASE_URL name are used as they are, and not
    started.
    """
    from tracker.stack import named

    stack, started = named.bring_up(
        name, os.environ, brokers=brokers, say=lambda text: typer.echo(text, err=True)
    )
    option = "" if name == "default" else f" --name {name}"
    typer.echo(f"The stack {name} is up." if started else f"The stack {name} is up already.")
    for variable, value in stack.environment.items():
        typer.echo(f"  {variable}={shlex.quote(value)}")
    typer.echo(f'To use it: eval "$(tracker stack env{option})"; to end it: tracker stack down{option}')


@app.command()
def down(name: Name = "default") -> None:
    """End a stack and remove its data."""
    from tracker.stack import named

    ended = named.take_down(name)
    typer.echo(f"The stack {name} is down." if ended else f"No stack {name} was up.")


@app.command()
def env(name: Name = "default") -> None:
    """Print the variables that lead to a stack, as shell commands."""
    from tracker.stack import named

    for variable, value in named.find(name).environment.items():
        typer.echo(f"export {variable}={shlex.quote(value)}")
