"""A mail server that keeps what it takes: each mail as a line of JSON in `mails`, as Python's own parser reads it.

server.py PORT MODE USER PASSWORD, in a folder of its own. MODE is plain, starttls or tls; for the latter two `certificate.pem` and
`key.pem` lie there. With a USER it takes mails only after a sign-in. Where there is a file `answer`, its text is the answer to every
recipient instead, such as `451 4.3.2 later`; `answer-mail` is the same for every sender.
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult


class Keeper:
    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = Path("answer-mail")
        if answer.exists():
            return answer.read_text().strip()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = Path("answer")
        if answer.exists():
            return answer.read_text().strip()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = message_from_bytes(envelope.content, policy=policy.default)
        defects = [str(defect) for part in message.walk() for defect in part.defects]
        mail = {
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "hello": session.host_name,
            "is_encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "plain": message.get_body(("plain",)).get_content(),
            "html": message.get_body(("html",)).get_content(),
            "defects": defects,
        }
        with open("mails", "a") as file:
            file.write(json.dumps(mail) + "\n")
        return "250 OK"


def main():
    port, mode, user, password = sys.argv[1:5]
    context = None
    if mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("certificate.pem", "key.pem")

    def check(server, session, envelope, mechanism, data):
        is_right = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=is_right, handled=False)

    def make():
        return SMTP(
            Keeper(),
            hostname="localhost",
            tls_context=context if mode == "starttls" else None,
            require_starttls=mode == "starttls",
            auth_required=bool(user),
            auth_require_tls=mode == "starttls",
            authenticator=check if user else None,
        )

    async def serve():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(make, "127.0.0.1", int(port), ssl=context if mode == "tls" else None)
        async with server:
            await server.serve_forever()

    asyncio.run(serve())


main()
