"""Explains the state of Kafka and the database together."""
