"""Recordings as conversations, to be read, compared, gone on from, accepted."""
