"""Kafka: batches in (`consumer`), transactions out (`producer`), and allowed `destinations`."""
