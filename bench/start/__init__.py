"""How long hello world takes from the start of its process until it is attached, beside other tools."""
