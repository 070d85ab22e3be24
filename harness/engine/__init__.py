"""How one phase is run in a fresh place, whatever the engine: the protocol, and what both share.

Imports `base`, `record`, `catalog`, `logs` and `measure`; its engines are packages of their own.
"""
