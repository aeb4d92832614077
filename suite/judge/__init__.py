"""The judging half: stored frames in, findings out. Never imports torch."""
