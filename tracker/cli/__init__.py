"""The command line: each module of this package parses one group of commands, calls, and prints."""

import atexit
import gc

_GARBAGE_AFTER_OBJECTS = 100_000


def main() -> int:
    """Run the command line and return its exit status.

    0: done; 1: refused or failed; 2: wrong usage or settings; 3: timed out; 130: Ctrl-C.
    An error is one plain sentence on stderr, or one for each wrong setting, and never a traceback.
    """
    # A command makes 80,000 objects that stay, and hardly any garbage. To look for it while modules are
    # imported, and once more at the end, took a quarter of the CPU time of a short command.
    gc.set_threshold(_GARBAGE_AFTER_OBJECTS)
    atexit.register(gc.freeze)
    # Not above: a child of `tracker run` imports this module too, and needs none of the commands.
    from tracker.cli.commands import run_command

    return run_command()
