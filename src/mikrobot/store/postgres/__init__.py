"""The one PostgreSQL: bundled or given, its roles, schema and connections."""
