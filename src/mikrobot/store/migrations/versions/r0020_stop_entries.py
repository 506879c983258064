"""The price of orders that enter by a stop order."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ENTRY = """
ALTER TABLE orders ADD COLUMN entry numeric;
COMMENT ON COLUMN orders.entry IS 'price of a stop order that enters; null: at the market';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(ENTRY)


def downgrade() -> None:
    """Refuse: a stop order without its price could not be repeated."""
    raise NotImplementedError("revision 0020 cannot be undone: restore a backup into a new database instead")
