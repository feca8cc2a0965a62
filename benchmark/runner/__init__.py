"""Runs: plan, generate, score, store, summarize."""
