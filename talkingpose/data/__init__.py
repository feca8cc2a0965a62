"""The dataset schema, its reader, and the contestant contract."""
