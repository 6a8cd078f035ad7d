"""Which recorded request a live one is, and where it differs from the nearest."""
