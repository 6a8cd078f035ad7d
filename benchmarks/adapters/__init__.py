"""The clients that are measured; see `benchmarks.worker.Adapter` for what each must have."""
