"""Trading states of operators: the close at which they flatten, and their newest number."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATES = """
ALTER TABLE trading_states ADD COLUMN flatten_at timestamptz;
COMMENT ON COLUMN trading_states.flatten_at IS 'first close at which open positions are closed; null: they go on';
COMMENT ON COLUMN trading_states.source IS 'the source whose runs it limits; null without a run: every run';
CREATE INDEX trading_states_operator ON trading_states (seq) WHERE run_id IS NULL AND source IS NULL;
"""


def upgrade() -> None:
    """Add the column and the index."""
    op.execute(STATES)


def downgrade() -> None:
    """Refuse: states are never dropped."""
    raise NotImplementedError("revision 0019 cannot be undone: restore a backup into a new database instead")
