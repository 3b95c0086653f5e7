"""What Alembic runs: `service.store.migrate` hands it an open connection."""

from alembic import context

from service.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter most things
    compare_type=True,
)
context.run_migrations()
