"""A Django service for the tests, with the settings that `hallpass client new --for` prints, as they are, in printed.py
of the working directory: django-allauth (`--for django-allauth`) or social-auth (`--for social-auth`).

`GET /` answers who is signed in; the form of `GET /start` starts a sign-in, which ends there.
"""

import os
import sys

sys.path[:0] = [os.getcwd(), os.path.dirname(__file__)]
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(["service", "migrate", "--verbosity", "0"])
    execute_from_command_line(["service", "runserver", "--noreload", f"127.0.0.1:{os.environ['PORT']}"])
