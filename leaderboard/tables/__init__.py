"""Tables of a board, as text."""
