"""`python -m suite`, the same as `ampmark`."""

from suite.cli import main

if __name__ == "__main__":
    main()
