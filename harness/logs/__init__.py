"""From a log's bytes to facts: marker lines, and a grammar for each program that writes lines.

Pure. Imports `base` and `record`.
"""
