"""Bars, quarantine, feature states, runs and the append-only ledger."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BARS = """
CREATE TABLE source (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE symbol (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE bar (
    source_id smallint NOT NULL,
    symbol_id smallint NOT NULL,
    timeframe smallint NOT NULL,
    ts timestamptz NOT NULL,
    open float8 NOT NULL,
    high float8 NOT NULL,
    low float8 NOT NULL,
    close float8 NOT NULL,
    volume float8 NOT NULL,
    spread float8 NOT NULL,
    PRIMARY KEY (source_id, symbol_id, timeframe, ts)
);
COMMENT ON COLUMN bar.timeframe IS 'length in minutes';
COMMENT ON COLUMN bar.ts IS 'open time; the bar is known one timeframe later';
COMMENT ON COLUMN bar.volume IS 'NaN where the source does not know it';
COMMENT ON COLUMN bar.spread IS 'ask - bid at the close, NaN where the source does not know it';
CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id smallint NOT NULL REFERENCES source,
    symbol_id smallint NOT NULL REFERENCES symbol,
    suite text NOT NULL,
    at timestamptz,
    reason text NOT NULL,
    row jsonb NOT NULL
);
CREATE UNIQUE INDEX quarantine_once ON quarantine (source_id, symbol_id, suite, md5(row::text), md5(reason));
CREATE TABLE feature_state (
    source_id smallint NOT NULL REFERENCES source,
    symbol_id smallint NOT NULL REFERENCES symbol,
    version text NOT NULL,
    close_time timestamptz NOT NULL,
    saved bigint GENERATED ALWAYS AS IDENTITY,
    snapshot bytea NOT NULL,
    PRIMARY KEY (source_id, symbol_id, version, close_time)
);
"""

RUNS = """
CREATE TABLE run (
    id text PRIMARY KEY,
    source text NOT NULL,
    simulated boolean NOT NULL,
    symbols text[] NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    settings jsonb NOT NULL,
    summary jsonb
);
CREATE TABLE progress (
    run_id text NOT NULL REFERENCES run,
    process text NOT NULL,
    close_time timestamptz,
    finished boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run_id, process)
) WITH (fillfactor = 50);
CREATE TABLE latency (
    run_id text NOT NULL REFERENCES run,
    process text NOT NULL,
    summary jsonb NOT NULL,
    PRIMARY KEY (run_id, process)
);
"""

LEDGER = """
CREATE TABLE feature_list (
    id text PRIMARY KEY,
    names text[] NOT NULL
);
COMMENT ON TABLE feature_list IS 'names of the values in prediction.features, kept once';
CREATE TABLE prediction (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    run_id text NOT NULL REFERENCES run,
    symbol text NOT NULL,
    side text NOT NULL,
    close_time timestamptz NOT NULL,
    probability float8 NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    feature_hash text NOT NULL,
    feature_list_id text NOT NULL REFERENCES feature_list,
    features float8[] NOT NULL,
    PRIMARY KEY (run_id, symbol, close_time, side, model, model_version)
);
CREATE TABLE decision (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    run_id text NOT NULL REFERENCES run,
    id text NOT NULL,
    symbol text NOT NULL,
    close_time timestamptz NOT NULL,
    approved boolean NOT NULL,
    side text,
    reasons jsonb NOT NULL,
    PRIMARY KEY (run_id, id)
);
CREATE TABLE orders (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    run_id text NOT NULL REFERENCES run,
    id text NOT NULL,
    decision_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    lots numeric NOT NULL,
    stop numeric NOT NULL,
    target numeric NOT NULL,
    submitted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, id),
    FOREIGN KEY (run_id, decision_id) REFERENCES decision (run_id, id)
);
CREATE TABLE fill (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    run_id text NOT NULL REFERENCES run,
    id text NOT NULL,
    order_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    lots numeric NOT NULL,
    price numeric NOT NULL,
    reason text NOT NULL,
    fee numeric NOT NULL,
    pnl numeric NOT NULL,
    filled_at timestamptz NOT NULL,
    ambiguous boolean NOT NULL,
    PRIMARY KEY (run_id, id),
    FOREIGN KEY (run_id, order_id) REFERENCES orders (run_id, id)
);
CREATE TABLE skip (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    run_id text NOT NULL REFERENCES run,
    symbol text NOT NULL,
    close_time timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (run_id, symbol, close_time)
);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % of % refused', TG_OP, TG_TABLE_NAME;
END
$$;
"""

LEDGER_TABLES = ("feature_list", "prediction", "decision", "orders", "fill", "skip")


def upgrade() -> None:
    """Create the tables; the bars as a hypertable if the server has TimescaleDB."""
    for statements in (BARS, RUNS, LEDGER):
        op.execute(statements)
    for table in LEDGER_TABLES:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    extension = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
    if op.get_bind().exec_driver_sql(extension).first() is not None:
        op.execute("SELECT create_hypertable('bar', 'ts', chunk_time_interval => interval '1 month')")


def downgrade() -> None:
    """Refuse: the ledger is never dropped."""
    raise NotImplementedError("revision 0001 cannot be undone: restore a backup into a new database instead")
