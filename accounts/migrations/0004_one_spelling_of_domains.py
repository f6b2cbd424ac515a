"""Spell domains as DNS does, in the addresses that are stored already.

Where another account has that spelling, the older row stays as it is: nobody but the
operator can say which of two accounts is whose.
"""

import logging

import idna
from django.db import migrations

logger = logging.getLogger("tertulia.app")


def respell(apps, schema_editor):
    users = apps.get_model("accounts", "User").objects
    addresses = apps.get_model("account", "EmailAddress").objects
    for pk, email in list(users.values_list("pk", "email").order_by("created_at")):
        name, _at, domain = email.rpartition("@")
        if domain.isascii():
            continue
        try:
            spelled = f"{name}@{idna.encode(domain, uts46=True).decode()}"
        except UnicodeError:
            spelled = ""
        if not spelled or users.filter(email=spelled).exists():
            logger.warning(
                "address left as it is: change it on the admin site",
                extra={"user": str(pk)},
            )
            continue
        users.filter(pk=pk).update(email=spelled)
        addresses.filter(user=pk, email=email).update(email=spelled)


class Migration(migrations.Migration):
    dependencies = [
        ("account", "0009_emailaddress_unique_primary_email"),
        ("accounts", "0003_audit_append_only"),
    ]

    operations = [migrations.RunPython(respell, migrations.RunPython.noop)]
