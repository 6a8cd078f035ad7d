"""Agents that call tools, on the stateless Responses API."""

__version__ = "0.1.0"
