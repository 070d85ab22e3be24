"""Containerized GPU regression harness for large-model swapping after save and load."""
