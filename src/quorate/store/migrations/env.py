"""Alembic's entry: runs the steps on the connection that it is given, inside that connection's transaction."""

from alembic import context

from quorate.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
