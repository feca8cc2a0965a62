"""Export of clips as a Hugging Face dataset: Parquet, card, splits, duplicates."""
