"""Dataset, contestant and protocol become a run of numbers that can be checked."""
