"""What a step would take on a GPU that is not there: compiled for it, and never run.

It may import: what `meters` may.
"""
