"""The journals of the accounts, from which fills and positions are read; append-only.

The fills of earlier runs stay in the table fill, which is no longer written.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JOURNAL = """
CREATE TABLE journal (
    run_id text NOT NULL REFERENCES run,
    account text NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    record json NOT NULL,
    PRIMARY KEY (run_id, account, seq)
);
COMMENT ON TABLE journal IS 'everything that happened to an account, in ticks, size steps and minor units';
COMMENT ON COLUMN journal.record IS 'json, not jsonb: kept to the byte';
"""


def upgrade() -> None:
    """Create the table and refuse changes to its rows."""
    op.execute(JOURNAL)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Refuse: the ledger is never dropped."""
    raise NotImplementedError("revision 0004 cannot be undone: restore a backup into a new database instead")
