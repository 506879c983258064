"""Predictions of challengers in the champion's shadow, which the gate counts; append-only."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SHADOW = """
CREATE TABLE shadow (
    run_id text NOT NULL REFERENCES run,
    symbol text NOT NULL,
    side text NOT NULL,
    close_time timestamptz NOT NULL,
    probability double precision NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    PRIMARY KEY (run_id, symbol, close_time, side, model, model_version)
);
COMMENT ON TABLE shadow IS 'answers of challengers about rows that the champion decided on';
"""


def upgrade() -> None:
    """Create the table and refuse changes to its rows."""
    op.execute(SHADOW)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON shadow "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Refuse: the ledger is never dropped."""
    raise NotImplementedError("revision 0005 cannot be undone: restore a backup into a new database instead")
