"""New here: a database. The agent reads its schema and asks it in SQL; the file can't be changed."""

import csv
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from agentkit_tools import Database

from agentkit import Agent
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")
CITIES = Path(__file__).parent / "data" / "cities.csv"


def load(path: Path) -> None:
    """Make a database of the CSV file."""
    with CITIES.open(encoding="utf-8", newline="") as file, closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE city (name TEXT PRIMARY KEY, country TEXT NOT NULL, people INTEGER)")
        connection.executemany("INSERT INTO city VALUES (:name, :country, :people)", csv.DictReader(file))
        connection.commit()


RECORDING = Path(__file__).parents[1] / "cassettes/examples/08_data_assistant.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cities.db"
        load(path)
        agent = Agent(model=MODEL, instructions="Answer from the database.", tools=Database(path).tools)
        result = agent.run_sync("In which country's cities do most people live?", client=client)
    for made in result.tool_calls:
        print(f"[{made.name}]\n{made.output}")
    print(result.output)
