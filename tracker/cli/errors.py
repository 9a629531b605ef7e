"""What a user sees for an error, and the exit status."""

import sys

import typer

from tracker.errors import SettingsError, TrackerError, WaitTimedOut, sentence


def explain(error: Exception) -> tuple[str, int] | None:
    """Return the text for an error, and the exit status; None for a mistake in the program."""
    if isinstance(error, SettingsError):
        return str(error), 2
    if isinstance(error, TrackerError):
        return sentence(str(error)), 3 if isinstance(error, WaitTimedOut) else 1
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        # If a command is missing, the message is the help; otherwise it is a sentence.
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
    """Return what an error of PostgreSQL's or Kafka's driver means, if no command has explained it."""
    # A driver takes 100 ms to load, and one that is not loaded has raised nothing.
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
    """Say how to give an ID that begins with ``-``, if the user may have meant one."""
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if not option or context is None:
        return ""
    if not any(parameter.param_type_name == "argument" for parameter in context.command.params):
        return ""
    typed = next((text for text in sys.argv[1:] if text.startswith(option)), option)
    return f", and if {typed} is not an option, give it after --: {context.command_path} -- {typed}"
