"""Later versions of bars, bars made from trades, and bars that their trades contradict; append-only."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE bar_revision (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    source_id smallint NOT NULL REFERENCES source,
    symbol_id smallint NOT NULL REFERENCES symbol,
    timeframe smallint NOT NULL,
    ts timestamptz NOT NULL,
    known_at timestamptz NOT NULL,
    reason text NOT NULL,
    open float8 NOT NULL,
    high float8 NOT NULL,
    low float8 NOT NULL,
    close float8 NOT NULL,
    volume float8 NOT NULL,
    spread float8 NOT NULL,
    trades float8 NOT NULL,
    taker_volume float8 NOT NULL,
    PRIMARY KEY (source_id, symbol_id, timeframe, ts, seq)
);
COMMENT ON TABLE bar_revision IS 'versions of a bar that came after the one that was traded, which stays in bar';
COMMENT ON COLUMN bar_revision.known_at IS 'time from which the version is known';
CREATE TABLE bar_disagreement (
    source_id smallint NOT NULL REFERENCES source,
    symbol_id smallint NOT NULL REFERENCES symbol,
    timeframe smallint NOT NULL,
    ts timestamptz NOT NULL,
    known_at timestamptz NOT NULL,
    fields text[] NOT NULL,
    bar jsonb NOT NULL,
    trades jsonb NOT NULL,
    PRIMARY KEY (source_id, symbol_id, timeframe, ts)
);
COMMENT ON TABLE bar_disagreement IS 'minutes in which the bar of a venue is not what its trades make up';
CREATE TABLE bar_origin (
    source_id smallint NOT NULL REFERENCES source,
    symbol_id smallint NOT NULL REFERENCES symbol,
    timeframe smallint NOT NULL,
    ts timestamptz NOT NULL,
    origin text NOT NULL,
    PRIMARY KEY (source_id, symbol_id, timeframe, ts)
);
COMMENT ON TABLE bar_origin IS 'bars that are not those of the venue itself, and what they were made from';
"""


def upgrade() -> None:
    """Create the tables and refuse changes to their rows."""
    op.execute(TABLES)
    for table in ("bar_revision", "bar_disagreement", "bar_origin"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    """Refuse: versions that were traded on are never dropped."""
    raise NotImplementedError("revision 0010 cannot be undone: restore a backup into a new database instead")
