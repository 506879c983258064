"""Experiments: plans and ends, append-only."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EXPERIMENTS = """
CREATE TABLE experiment (
    id text PRIMARY KEY,
    begun_at timestamptz NOT NULL,
    plan jsonb NOT NULL
);
COMMENT ON COLUMN experiment.plan IS 'question, arms, unit, effect, deviation, alpha, power and floor';
CREATE TABLE experiment_end (
    experiment_id text PRIMARY KEY REFERENCES experiment,
    ended_at timestamptz NOT NULL,
    reason text NOT NULL,
    conclusion jsonb NOT NULL
);
"""


def upgrade() -> None:
    """Create the tables and refuse changes to their rows."""
    op.execute(EXPERIMENTS)
    for table in ("experiment", "experiment_end"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    """Refuse: experiments are never dropped."""
    raise NotImplementedError("revision 0003 cannot be undone: restore a backup into a new database instead")
