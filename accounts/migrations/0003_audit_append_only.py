"""Let the database itself refuse to change or delete what was recorded.

A later migration that alters the table on SQLite makes it anew, without the triggers:
it has to make them again. `test_audit.py` would tell.
"""

from django.db import migrations

POSTGRESQL = (
    """
    CREATE FUNCTION accounts_auditevent_is_kept() RETURNS trigger AS $$
    BEGIN
        RAISE EXCEPTION 'audit events are neither changed nor deleted';
    END
    $$ LANGUAGE plpgsql
    """,
    """
    CREATE TRIGGER auditevent_is_kept BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_auditevent_is_kept()
    """,
)
SQLITE = tuple(
    f"""
    CREATE TRIGGER auditevent_is_kept_on_{what} BEFORE {what} ON accounts_auditevent
    BEGIN
        SELECT RAISE(ABORT, 'audit events are neither changed nor deleted');
    END
    """
    for what in ("update", "delete")
)
POSTGRESQL_BACK = (
    "DROP TRIGGER auditevent_is_kept ON accounts_auditevent",
    "DROP FUNCTION accounts_auditevent_is_kept()",
)
SQLITE_BACK = (
    "DROP TRIGGER auditevent_is_kept_on_update",
    "DROP TRIGGER auditevent_is_kept_on_delete",
)


def keep(apps, schema_editor):
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRESQL if is_postgresql else SQLITE:
        schema_editor.execute(statement)


def let_go(apps, schema_editor):
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRESQL_BACK if is_postgresql else SQLITE_BACK:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_audit_exports_and_identities")]

    operations = [migrations.RunPython(keep, let_go)]
