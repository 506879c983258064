"""The numbers that the checks of a decision compared."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COMPARISONS = """
ALTER TABLE decision ADD COLUMN comparisons json;
COMMENT ON COLUMN decision.comparisons IS
    'for each check among the reasons: [value, relation, threshold, unit], or null; null as a whole: not recorded';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(COMPARISONS)


def downgrade() -> None:
    """Refuse: the ledger is never changed."""
    raise NotImplementedError("revision 0021 cannot be undone: restore a backup into a new database instead")
