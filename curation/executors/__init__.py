"""Executors of curation jobs: local processes or a Ray cluster."""
