"""What there is: flavors, scenarios and known defects, TOML in, validated models out.

Imports `base` and `record`.
"""
