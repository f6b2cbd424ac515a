"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import never_cache

from config import views

urlpatterns = [
    path("", include("characters.urls")),
    path("", include("conversations.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("", include("accounts.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", include("config.api_urls")),
    path("docs", views.swagger, name="swagger"),
    path("redoc", views.redoc, name="redoc"),
    path("health", never_cache(views.health), name="health"),
    path("admin/", admin.site.urls),
]

handler400 = "config.views.bad_request"
handler403 = "config.views.permission_denied"
handler404 = "config.views.not_found"
handler500 = "config.views.server_error"
