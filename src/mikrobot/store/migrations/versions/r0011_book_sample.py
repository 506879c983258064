"""Order books at the closes of bars, stored with the bars of a live source; append-only for every process."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SAMPLES = """
CREATE TABLE book_sample (
    source_id smallint NOT NULL REFERENCES source (id),
    symbol_id smallint NOT NULL REFERENCES symbol (id),
    ts timestamptz NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    bid float8,
    ask float8,
    spread float8,
    bid_1 float8,
    bid_5 float8,
    bid_10 float8,
    ask_1 float8,
    ask_5 float8,
    ask_10 float8,
    imbalance float8,
    micro_price float8,
    bid_prices float8[] NOT NULL,
    bid_sizes float8[] NOT NULL,
    ask_prices float8[] NOT NULL,
    ask_sizes float8[] NOT NULL,
    PRIMARY KEY (source_id, symbol_id, ts)
);
COMMENT ON TABLE book_sample IS
    'order book at the close of the M1 bar that opens at ts; NULL and empty where the book was not live';
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(SAMPLES)


def downgrade() -> None:
    """Refuse: samples are never dropped."""
    raise NotImplementedError("revision 0011 cannot be undone: restore a backup into a new database instead")
