"""How long a load takes, beside the shortest way PostgreSQL itself offers. `python -m benchmarks --help`; docs/benchmarks.md."""
