"""An experiment, which is not part of the tracker: it decodes a whole batch in one step, compiled from Rust.

`build` builds the step and loads it, and `decoding` decodes a batch with it. `comparison` measures what it
costs beside the Python of today, and whether both make the same (`equality`) of messages that are `generated`
from `documents`.
"""
