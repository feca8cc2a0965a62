"""Command line of `tp-eval`."""
