"""What the families share: a model, its data, and what the checks need of a phase.

It may import: `common`, `frameworks`, `meters`, `providers`. It imports no family.
"""
