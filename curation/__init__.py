"""From footage to a clean, pose-annotated Hugging Face dataset."""
