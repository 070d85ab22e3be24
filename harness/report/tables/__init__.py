"""What several cases show, as tables."""
