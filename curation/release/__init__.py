"""Releases of ids alone: write, rebuild, forget."""
