"""Results of the stages of a run that have ended, so that a resumed run does not repeat them; append-only."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

RESULTS = """
CREATE TABLE stage_result (
    run_id text NOT NULL REFERENCES run (id),
    segment integer NOT NULL,
    stage text NOT NULL,
    result jsonb NOT NULL,
    PRIMARY KEY (run_id, segment, stage)
);
COMMENT ON TABLE stage_result IS 'what a stage of a segment of a run returned; a resumed run reads it';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stage_result
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE stage_result ENABLE ALWAYS TRIGGER append_only;
"""


def upgrade() -> None:
    """Create the table and refuse changes to its rows."""
    op.execute(RESULTS)


def downgrade() -> None:
    """Refuse: results are never dropped."""
    raise NotImplementedError("revision 0009 cannot be undone: restore a backup into a new database instead")
