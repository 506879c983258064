"""Funding that runs have charged, and the longer bars among the disagreements; append-only for every process."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

RATES = """
CREATE TABLE funding_rate (
    run_id text NOT NULL REFERENCES run (id),
    symbol text NOT NULL,
    ts timestamptz NOT NULL,
    close_time timestamptz NOT NULL,
    rate numeric NOT NULL,
    mark numeric,
    PRIMARY KEY (run_id, symbol, ts)
);
CREATE INDEX funding_rate_close ON funding_rate (run_id, close_time);
COMMENT ON TABLE funding_rate IS 'funding of perpetuals at ts, charged before the bars that close at close_time';
COMMENT ON TABLE bar_disagreement IS
    'bars of a venue that are not what their trades make up, or, of M5 and H1, their minutes';
COMMENT ON COLUMN bar_disagreement.trades IS 'the bar that its trades make up, or, of M5 and H1, its minutes';
"""


def upgrade() -> None:
    """Create the table and refuse changes to its rows."""
    op.execute(RATES)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON funding_rate "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("ALTER TABLE funding_rate ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    """Refuse: funding that was charged is never dropped."""
    raise NotImplementedError("revision 0015 cannot be undone: restore a backup into a new database instead")
