"""Symbols that were added to a run while it traded; append-only."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SYMBOLS = """
CREATE TABLE run_symbol (
    run_id text NOT NULL REFERENCES run (id),
    symbol text NOT NULL,
    at timestamptz NOT NULL,
    instrument jsonb NOT NULL,
    PRIMARY KEY (run_id, symbol)
);
COMMENT ON TABLE run_symbol IS 'a symbol that was added to a run, traded after an instant, with its instrument';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON run_symbol
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE run_symbol ENABLE ALWAYS TRIGGER append_only;
"""


def upgrade() -> None:
    """Create the table and refuse changes to its rows."""
    op.execute(SYMBOLS)


def downgrade() -> None:
    """Refuse: a run without them could not be reported on."""
    raise NotImplementedError("revision 0012 cannot be undone: restore a backup into a new database instead")
