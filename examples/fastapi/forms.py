"""Forms that are small: Starlette's own reader takes a thousand fields of a megabyte each from anyone.

So FastAPI's `Form()` is not used here, nor installed what it needs (`python-multipart`).
"""

from urllib.parse import parse_qsl

from fastapi import Request

# Bytes. The longest field is a logout token.
MAX_FORM = 16 * 1024
MAX_FIELDS = 20


class MalformedForm(Exception):
    """What was sent is no form, or none of ours."""


async def small_form(request: Request) -> dict[str, str]:
    """Returns the fields of a form, each of which may be there once."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise MalformedForm("a form is expected: application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise MalformedForm("the form is too long")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise MalformedForm("the form cannot be read") from error
    if len(dict(pairs)) != len(pairs):
        raise MalformedForm("a field was sent twice")
    return dict(pairs)
