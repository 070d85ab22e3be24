"""What spreads a run over machines: files for Slurm, Jenkins, Kubernetes, GitHub and GitLab.

Imports `base`, `catalog` and `plan`.
"""
