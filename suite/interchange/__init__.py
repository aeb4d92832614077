"""Stored results in the forms that other programs read: tables, pytest-benchmark's JSON, JUnit's XML."""
