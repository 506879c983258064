"""The PostgreSQL server, bundled or the user's own: its programs, roles, schema and connections."""
