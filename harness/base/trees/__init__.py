"""Directory trees that somebody else has filled: no link in them is ever followed."""
