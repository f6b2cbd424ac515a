#!/usr/bin/env python
"""Django's command line for Tertulia."""

import gc
import os
import sys

from django.core.exceptions import ImproperlyConfigured


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # Little of what is imported is ever garbage: looking for it at Python's usual rate
    # is a quarter of the start.
    gc.set_threshold(50_000, 20, 100)
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # What the operator has to change, without where in the code we noticed.
        sys.exit(str(error))


if __name__ == "__main__":
    main()
