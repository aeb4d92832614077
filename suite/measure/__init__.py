"""The measuring half: everything that imports torch. Nothing here is imported by the judging half."""
