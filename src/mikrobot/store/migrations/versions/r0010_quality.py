"""Quality scores of live bars, and trading states."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

QUALITY = """
CREATE TABLE quality (
    source_id smallint NOT NULL REFERENCES source,
    symbol_id smallint NOT NULL REFERENCES symbol,
    close_time timestamptz NOT NULL,
    score float8 NOT NULL CHECK (score BETWEEN 0 AND 1),
    parts jsonb NOT NULL,
    PRIMARY KEY (source_id, symbol_id, close_time)
);
COMMENT ON TABLE quality IS 'quality of the bar that closed, as it was known then';
COMMENT ON COLUMN quality.parts IS 'parts of the score by name, 0 to 1; one that does not apply is missing';
"""

STATES = """
CREATE TABLE trading_states (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text REFERENCES run (id),
    source text,
    symbol text,
    side text CHECK (side IN ('buy', 'sell')),
    scope text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN symbol IS NULL THEN 'global' WHEN side IS NULL THEN 'symbol' ELSE 'side' END
    ) STORED,
    state text NOT NULL CHECK (state IN ('ACTIVE', 'REDUCING', 'HALTED')),
    reason text NOT NULL,
    by text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    CHECK (side IS NULL OR symbol IS NOT NULL)
);
COMMENT ON COLUMN trading_states.run_id IS 'the run whose trading it limits; null: every run on the source';
COMMENT ON COLUMN trading_states.since IS 'first close to which it applies; without a run, the time of its record';
COMMENT ON COLUMN trading_states.until IS 'first close to which it no longer applies; null: it applies still';
CREATE UNIQUE INDEX trading_states_open ON trading_states (
    coalesce(run_id, ''), coalesce(source, ''), coalesce(symbol, ''), coalesce(side, ''), by
) WHERE until IS NULL;
CREATE INDEX trading_states_run ON trading_states (run_id);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(QUALITY)
    op.execute(STATES)


def downgrade() -> None:
    """Refuse: states are never dropped."""
    raise NotImplementedError("revision 0010 cannot be undone: restore a backup into a new database instead")
