"""Command line of `tp-curate`: one module per group of commands."""
