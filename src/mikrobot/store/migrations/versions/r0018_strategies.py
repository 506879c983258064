"""The strategy of each decision, and what strategies remember."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STRATEGY = """
ALTER TABLE decision ADD COLUMN strategy text NOT NULL DEFAULT 'simple_break';
ALTER TABLE decision ALTER COLUMN strategy DROP DEFAULT;
COMMENT ON COLUMN decision.strategy IS 'name and hash of the source of the strategy';

CREATE TABLE strategy_memory (
    run_id text NOT NULL REFERENCES run (id),
    strategy text NOT NULL,
    symbol text NOT NULL,
    memory json NOT NULL,
    PRIMARY KEY (run_id, strategy, symbol)
);
COMMENT ON TABLE strategy_memory IS 'what each strategy of a run remembers of a symbol, as of its newest minute';
"""


def upgrade() -> None:
    """Add the column and the table."""
    op.execute(STRATEGY)


def downgrade() -> None:
    """Refuse: decisions without their strategy could not be repeated."""
    raise NotImplementedError("revision 0017 cannot be undone: restore a backup into a new database instead")
