"""Folder layouts in which people keep the test data of published protocols, one module each."""
