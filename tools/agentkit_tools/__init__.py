"""Ready-made tools for agentkit agents; built on the public names of `agentkit` alone."""
