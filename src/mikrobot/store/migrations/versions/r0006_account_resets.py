"""Resets of paper accounts; append-only."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

RESETS = """
CREATE TABLE account_reset (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    at timestamptz NOT NULL,
    balance numeric NOT NULL
);
COMMENT ON TABLE account_reset IS 'from when on the paper account of a source starts again, and with how many dollars';
"""


def upgrade() -> None:
    """Create the table and refuse changes to its rows."""
    op.execute(RESETS)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account_reset "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Refuse: the ledger is never dropped."""
    raise NotImplementedError("revision 0006 cannot be undone: restore a backup into a new database instead")
