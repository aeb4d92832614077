"""Programs for people who work on ampmark; no part of the package."""
