"""Events of the supervised processes; append-only."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

EVENTS = """
CREATE TABLE process_event (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    process text NOT NULL,
    event text NOT NULL,
    reason text NOT NULL
);
COMMENT ON TABLE process_event IS 'what the supervisor saw of a process of the stack and did about it';
"""


def upgrade() -> None:
    """Create the table and refuse changes to its rows."""
    op.execute(EVENTS)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON process_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Refuse: events are never dropped."""
    raise NotImplementedError("revision 0007 cannot be undone: restore a backup into a new database instead")
