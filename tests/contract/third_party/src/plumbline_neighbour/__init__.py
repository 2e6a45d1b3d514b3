"""One plugin of each group, written against what Plumbline promises and nothing else."""
