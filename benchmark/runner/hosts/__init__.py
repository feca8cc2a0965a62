"""Hosts of a contestant: in this process, or in one of its own."""
