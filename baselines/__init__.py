"""Other contestants, and the controls that every board shows."""
