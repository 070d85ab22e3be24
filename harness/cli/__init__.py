"""The `harness` command: options in, exit codes out, and the terminal.

Imports every package.
"""
