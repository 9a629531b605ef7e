"""Suggests what to do after the demo."""

import shlex
import sys
from pathlib import Path

from tracker.demo.processes import examples_folder, is_clone
from tracker.demo.servers import KEPT_STACK


def where_next(*, kept: bool) -> str:
    """Return a few lines: how to use servers that were kept, or otherwise what to do next."""
    program = _program()
    if kept:
        return (
            f"\nThe servers are still up. To look around:\n"
            f'  eval "$({program} stack env --name {KEPT_STACK})"\n'
            f"  {program} job list --partition demo\n"
            f"  {program} job show demo:letters\n"
            f"  {program} job failures demo:letters-mail\n"
            f"  {program} job why demo:photos\n"
            f"To end them:\n"
            f"  {program} stack down --name {KEPT_STACK}"
        )
    places = {f"{program} demo --keep": "leaves the servers up, to look around"}
    places[f"{program} job --help"] = "what you can do with jobs"
    if is_clone():
        places["examples/"] = "the workers that you have just seen, to copy"
        places["README.md, docs/"] = "how to use it, and how it works"
        places["make bench"] = "how fast it is on this machine"
    else:
        places[str(examples_folder())] = "the workers that you have just seen, to copy"
    width = max(map(len, places))
    lines = (f"  {place.ljust(width)}  {what}" for place, what in places.items())
    return "\n".join(["\nWhere to look next:", *lines])


def _program() -> str:
    """Return the command that the user typed to run this program."""
    typed = sys.argv[0]
    return shlex.quote(typed) if Path(typed).name == "tracker" else "python -m tracker"
