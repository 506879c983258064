"""References and windows of the drift verdict; both append-only."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE drift_reference (
    source text NOT NULL,
    symbol text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    window_days double precision NOT NULL,
    reference json NOT NULL,
    PRIMARY KEY (source, symbol, model, version, window_days)
);
COMMENT ON TABLE drift_reference IS 'distributions of the training span of a model version';
CREATE TABLE drift_window (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    source text NOT NULL,
    symbol text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    kind text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    verdict text NOT NULL,
    onset boolean NOT NULL,
    reasons text[] NOT NULL,
    figures json NOT NULL,
    PRIMARY KEY (source, symbol, model, version, kind, since, until)
);
COMMENT ON TABLE drift_window IS 'the verdict of a window of rows or predictions after the training of a model version';
"""


def upgrade() -> None:
    """Create the tables and refuse changes to their rows."""
    op.execute(TABLES)
    for table in ("drift_reference", "drift_window"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    """Refuse: the history of drift would be lost."""
    raise NotImplementedError("revision 0013 cannot be undone: restore a backup into a new database instead")
