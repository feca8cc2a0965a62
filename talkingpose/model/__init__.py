"""Network parts and weight formats of the reference model."""
