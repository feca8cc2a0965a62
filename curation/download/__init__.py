"""Download of sources: polite, resumable, with a recorded cause for each source that is missing."""
