"""Shared input and output: errors, console, atomic files, documents."""
