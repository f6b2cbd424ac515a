"""How the applications reach the database where the ORM or a request does not lead.

`rows` puts hot statements together once; `threads` does database work outside of
requests; `workers` names the process that does it. Below every application: it knows no
table.
"""
