"""a round may hold a permit for each endpoint that judges its replies"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The few rows are taken out and put back: no database changes a primary key in the other's words.
    held = op.get_bind().execute(sa.text("SELECT * FROM permit").columns(day=sa.Date())).mappings().all()
    op.drop_table("permit")
    permit = op.create_table(
        "permit",
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reserved_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("round_id", "endpoint"),
    )
    op.bulk_insert(permit, [dict(each) for each in held])
    with op.batch_alter_table("permit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_permit_endpoint"), ["endpoint"], unique=False)
