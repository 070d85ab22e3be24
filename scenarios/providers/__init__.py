"""What swaps: one package for each provider, all behind `interface.Provider`; `registry` finds it.

It may import: `common`, `frameworks`. No provider imports a meter: what measures is not its own.
"""
