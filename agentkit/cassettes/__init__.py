"""Recorded model traffic: what a cassette holds, how it is written, matched, played and reviewed.

Built on vcrpy's own extension points: a cassette of ours is a `vcr.cassette.Cassette`, its file a serializer and a
persister registered there. `agentkit.cassette(path)` is the way in.
"""
