"""The engine of the product: each phase in a container of a pinned image.

Imports `engine` and what that imports.
"""
