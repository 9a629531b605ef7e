"""What is another number in the processes of the fault tests than in production, for people's sake."""

ASK_AGAIN_S = 2.0
"""How soon the dead-letter topic is asked again what it takes; production waits for a minute."""
