"""Protocols: frozen, versioned scoring rules."""
