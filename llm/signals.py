"""What others are told about models, without models knowing them."""

from django.dispatch import Signal

#: Something was done with a model on the admin site. `model`: which, as it is or was;
#: `action`: "made", "changed", "deleted" or "made_default"; `actor`: who did it;
#: `details`: what else can be said of it.
model_administered = Signal()
