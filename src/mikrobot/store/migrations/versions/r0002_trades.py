"""Add the number of trades of a bar and the taker buy volume; unknown (NaN) for existing bars."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE bar ADD COLUMN trades float8 NOT NULL DEFAULT 'NaN', ADD COLUMN taker_volume float8 NOT NULL DEFAULT 'NaN';
ALTER TABLE bar ALTER COLUMN trades DROP DEFAULT, ALTER COLUMN taker_volume DROP DEFAULT;
COMMENT ON COLUMN bar.trades IS 'number of trades, NaN where the source does not know it';
COMMENT ON COLUMN bar.taker_volume IS 'base units bought by takers, NaN where the source does not know it';
"""


def upgrade() -> None:
    """Add the two columns without rewriting the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the two columns."""
    op.execute("ALTER TABLE bar DROP COLUMN trades, DROP COLUMN taker_volume")
