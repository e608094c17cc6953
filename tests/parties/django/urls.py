"""The addresses of the service: those of the library that signs users in, and two of its own."""

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.urls import include, path


def home(request):
    user = request.user
    if not user.is_authenticated:
        return JsonResponse({"signed_in": False})
    return JsonResponse({"signed_in": True, "username": user.username, "email": user.email})


def start(request):
    return HttpResponse(f'<form method="post" action="{settings.LOGIN_PATH}"><button>Sign in</button></form>')


library = "allauth.urls" if hasattr(settings, "SOCIALACCOUNT_PROVIDERS") else "social_django.urls"
prefix = "accounts/" if library == "allauth.urls" else ""
urlpatterns = [path("", home), path("start", start), path(prefix, include(library))]
