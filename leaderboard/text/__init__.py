"""Numbers and file names as text."""
