"""what detection needs besides its states: wishes of a round, what a stream was given, its bets"""

import sqlalchemy as sa
from alembic import op

from monitor.store.types import Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, columns in (
        ("round", ("wishes",)),
        ("round_stat", ("given", "log_bets")),
    ):
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.add_column(sa.Column(column, Json, nullable=True))
