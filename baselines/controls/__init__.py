"""Controls: contestants with known behaviour, shown on every board and never ranked."""
