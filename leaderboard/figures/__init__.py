"""Figures and curves of a board, as SVG."""
