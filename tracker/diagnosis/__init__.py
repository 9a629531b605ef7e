"""What is explained from Kafka and the database together."""
