"""The model of examples/01_hello.py; its cassette is recorded from it by python -m examples.record."""

script = ["Hello! Ask me anything."]
