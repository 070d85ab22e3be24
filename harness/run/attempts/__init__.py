"""How often a phase is run, where, and whose fault its ends are.

Imports what `run` imports, and nothing of `run` itself.
"""
