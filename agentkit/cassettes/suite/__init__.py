"""Cassettes in a test run: files by test, outcomes, the network's guard. Loaded by `pytest_plugin.py` on use."""
