"""What measures one step of a model, by the framework's own records; `trace` marks what was found.

It may import: `common`, `frameworks`. No meter imports a provider: what swaps is not asked.
"""
