"""From lists of ids and addresses to footage: polite, resumable, a reason for whatever is missing."""
