"""What every package may import: errors with their exit codes, text fit for reports, whole files.

Imports no other package.
"""
