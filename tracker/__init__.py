"""Tracks jobs made of many tasks, from Kafka into PostgreSQL and back."""

__version__ = "0.1.0"
