"""What there is: flavors and scenarios, TOML in, validated models out.

Imports `base` and `record`.
"""
