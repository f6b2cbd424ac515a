"""What others are told about models, without models knowing them."""

from django.dispatch import Signal

#: On the admin site another model was made the default. `model`: which; `actor`: who
#: did it.
default_made = Signal()
