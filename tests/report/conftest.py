from __future__ import annotations

import pytest
from read_back import Page


@pytest.fixture
def read() -> type[Page]:
    """Parse a page."""
    return Page
