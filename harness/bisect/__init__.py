"""Which release broke it: one case, judged with one version of a package after the other."""
