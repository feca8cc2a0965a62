"""From clips to a Hugging Face dataset: export, splits, duplicates, card."""
