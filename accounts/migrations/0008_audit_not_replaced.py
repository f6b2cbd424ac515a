"""Let SQLite refuse to put another event in the place of one, too.

`INSERT OR REPLACE` deletes what is in its way, and asks no trigger about deleting
unless every connection says so. PostgreSQL has no such statement.
"""

from django.db import migrations

KEEP = """
    CREATE TRIGGER auditevent_is_kept_on_insert BEFORE INSERT ON accounts_auditevent
    WHEN EXISTS (
        SELECT 1 FROM accounts_auditevent WHERE id = NEW.id OR rowid = NEW.rowid
    )
    BEGIN
        SELECT RAISE(ABORT, 'audit events are neither changed nor deleted');
    END
"""


def keep(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(KEEP)


def let_go(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER auditevent_is_kept_on_insert")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_names_of_fields")]

    operations = [migrations.RunPython(keep, let_go)]
