"""Let the triggers of the append-only tables fire for replication roles too; only their owner creates tables.

The tables belong to the role `mikrobot_owner` since this revision. Provision hands them over, and a migration grants
the other roles their rights on them.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ALWAYS = """
DO $$
DECLARE guarded regclass;
BEGIN
    FOR guarded IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'append_only' LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', guarded);
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Enable every trigger that refuses a change, whatever the session's replication role is."""
    op.execute(ALWAYS)
    op.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def downgrade() -> None:
    """Refuse: tables do not return to the role of the commands."""
    raise NotImplementedError("revision 0008 cannot be undone: restore a backup into a new database instead")
