"""Datasets that ship with the project."""
