"""Who is known to be dead, and of whom nobody can know."""

import os
import subprocess
import sys
from unittest import SkipTest

from django.test import SimpleTestCase

from database import workers
from database.workers import is_dead, this_worker

ASK = "from database.workers import this_worker; print(this_worker())"


def name_elsewhere(*command: str) -> str:
    """Return the name of a process that `command` starts and that has ended."""
    done = subprocess.run(
        [*command, sys.executable, "-c", ASK], capture_output=True, text=True
    )
    if done.returncode:
        raise SkipTest(f"{command[0]}: {done.stderr.strip()[:100]}")
    return done.stdout.strip()


class HostTests(SimpleTestCase):
    def test_a_name_fits_into_its_column(self):
        self.assertLessEqual(len(this_worker()), 64)

    def test_it_knows_a_process_of_this_machine_that_has_ended(self):
        self.assertTrue(is_dead(name_elsewhere("env")))

    def test_it_knows_nothing_of_another_container(self):
        # The same machine and host name, and process ids of its own.
        name = name_elsewhere("unshare", "--pid", "--fork", "--mount-proc")
        self.assertNotEqual(name.rsplit(":", 2)[0], workers._HOST)
        self.assertFalse(is_dead(name))

    def test_it_knows_its_own_name(self):
        self.assertIn(f":{os.getpid()}:", this_worker())
        self.assertFalse(is_dead(this_worker()))
