"""The job store: schema, migrations and queries. Nothing else in the project speaks SQL."""
