"""Random programs, run as Python and by every engine."""
