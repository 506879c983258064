"""The route of a symbol that was added to a run on several sources."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ROUTE = """
ALTER TABLE run_symbol ADD COLUMN route text;
COMMENT ON COLUMN run_symbol.route IS 'the member of a combined source on which the symbol is traded';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(ROUTE)


def downgrade() -> None:
    """Refuse: a run without them could not be resumed."""
    raise NotImplementedError("revision 0015 cannot be undone: restore a backup into a new database instead")
