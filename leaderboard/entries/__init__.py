"""Runs of a board: found, checked, grouped, and taken from submissions."""
