"""Which drift and degradation events have reported, so that one that was not emitted is emitted later."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE drift_event (
    source text NOT NULL,
    symbol text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    event text NOT NULL,
    kind text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (source, symbol, model, version, event, kind, since, until)
);
COMMENT ON TABLE drift_event IS 'windows of drift_window that an event has reported';
INSERT INTO drift_event SELECT source, symbol, model, version, 'drift', kind, since, until FROM drift_window
WHERE onset;
"""


def upgrade() -> None:
    """Create the table, take the drift of before as reported, and refuse changes to its rows."""
    op.execute(TABLE)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON drift_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("ALTER TABLE drift_event ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    """Refuse: drift would be reported twice."""
    raise NotImplementedError("revision 0017 cannot be undone: restore a backup into a new database instead")
