"""Name fields in the language of who reads the admin site."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0002_generation_opened_by"),
    ]

    operations = [
        migrations.AlterField(
            model_name="conversation",
            name="head",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="conversations.message",
                verbose_name="head",
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="last_message_preview",
            field=models.CharField(
                blank=True, max_length=160, verbose_name="last words"
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="last_read_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, verbose_name="last read"
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="client_id",
            field=models.CharField(
                blank=True, max_length=64, null=True, verbose_name="id of the client"
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="conversation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to="conversations.conversation",
                verbose_name="conversation",
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="children",
                to="conversations.message",
                verbose_name="comes after",
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="reply_to",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="answers",
                to="conversations.message",
                verbose_name="answers",
            ),
        ),
    ]
