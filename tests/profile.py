"""How long Hypothesis looks: with EXAMPLES_FACTOR=20, twenty times as long as every day."""

import os

from hypothesis import settings

FACTOR = int(os.environ.get("EXAMPLES_FACTOR", "1"))

THOROUGH = settings(max_examples=100 * FACTOR, deadline=None, print_blob=True)
