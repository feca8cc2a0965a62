"""Stages of a training: what is trained, and on which objective."""
