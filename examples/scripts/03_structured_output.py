"""The model of examples/03_structured_output.py; its cassette is recorded from it by python -m examples.record."""

script = ['{"name": "Oslo", "people": -1}', '{"name": "Oslo", "people": 709037}']
