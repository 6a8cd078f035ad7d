"""How a cassette is written: recordings as YAML and back, ids, other recorders' files, the compiled copy."""
