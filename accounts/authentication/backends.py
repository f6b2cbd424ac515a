"""How a browser session finds its user."""

from allauth.account.auth_backends import AuthenticationBackend
from django.db.models import QuerySet

from accounts.models import User


class AccountBackend(AuthenticationBackend):
    """Read, along with the active user, what every page shows of them."""

    def get_user(self, user_id: str) -> User | None:
        return self._active(user_id).first()

    async def aget_user(self, user_id: str) -> User | None:
        return await self._active(user_id).afirst()

    def _active(self, user_id: str) -> QuerySet[User]:
        users = User.objects.select_related("profile", "plan")
        return users.filter(pk=user_id, is_active=True)
