"""What others are told about accounts, without accounts knowing them."""

from django.dispatch import Signal

#: Sessions are over. `user_id`: whose; `credentials`: the names of those sessions (see
#: `User.credential`), or None for all of that user.
sessions_ended = Signal()
