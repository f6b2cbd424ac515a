"""Exit with 0 when the server in this container answers; for HEALTHCHECK."""

import os
import sys
from http.client import HTTPConnection

connection = HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=4)
# The name it is known by, which it checks, and the scheme, which it would redirect.
host = os.environ.get("ALLOWED_HOSTS", "localhost").partition(",")[0].lstrip(".")
connection.request("GET", "/health", headers={"Host": host})
sys.exit(connection.getresponse().status != 200)
