"""Writes passwords.tsv: hashes of passwords in every form that `users.password_hash` may hold or an import reads.

Each is made by an implementation that shares no code with Hallpass: PBKDF2 and scrypt by Python's hashlib, the layout of
ASP.NET Core Identity by the few lines below, bcrypt by libxcrypt (through Perl's crypt), argon2 by its reference
implementation (argon2-cffi), and passlib's own texts by passlib. Rows that end in `real` are rows of databases that
ASP.NET Core Identity 10 wrote itself.

    pip install argon2-cffi==25.1.0 passlib==1.7.4
    python3 passwords.py > passwords.tsv

A line: the form, the password as JSON, the hash as it comes. Salts are made of the form's name, so that the file is the
same each time.
"""

import base64
import hashlib
import json
import struct
import subprocess

import argon2.low_level as reference
from passlib.hash import pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512, scrypt

# 24 letters of three bytes each are the 72 bytes that bcrypt reads.
PASSWORDS = ["", "correct horse", "Pässwörd ß 🔑", "\u2603" * 24, "\u2603" * 24 + " and more", "x" * 200]
NUL = "be\0fore"
DECOMPOSED = "I\u0301safjo\u0308r\u00f0ur"

REAL = [
    ("identity-v2-sha1 real", "Passw0rd!0ä", "AH2M5GRoDQxHiK7+1N1Mk7glmPJERBMNK9Fx9IegbTRMmzxMewTVY4BrtSOMnQUNwA=="),
    ("identity-v2-sha1 real", "Passw0rd!18ä", "AAZ/CLnVvvZotcVV+qhJtUYQI7zBql426Ts24QghOVHw8wpY7Z91Q6C5fma9AL2gyw=="),
    ("identity-v3-sha256 real", "Passw0rd!1ä",
     "AQAAAAEAACcQAAAAEKKJIFQ2bVmfCX+9jD2xU2VNZLyURsZtuXF1bg9Mb1aBbySf+9gGpXLtpzi/XLimLQ=="),
    ("identity-v3-sha512 real", "Passw0rd!4ä",
     "AQAAAAIAAYagAAAAEH0ktK8N6RHjdDeKonTBRO3qx1g1PAJ39oEqx0Smjb2NqtTDMWNhwLTFc9JfsHLLNA=="),
    ("identity-v3-sha512 real", "Passw0rd!2ä",
     "AQAAAAIAAzRQAAAAEBpGIDobtOxd8Qo73kZLWXI2RqQ0voiVZG+CUlv5eaUTTiBic9v7zo86LRV83p/6iA=="),
]


def salt_of(name, length=16):
    return hashlib.sha512(name.encode()).digest()[:length]


def b64(data):
    return base64.b64encode(data).decode().rstrip("=")


def identity_v2(password, salt):
    return bytes([0]) + salt + hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 32)


def identity_v3(password, salt, prf, iterations, length):
    digest = ["sha1", "sha256", "sha512"][prf]
    key = hashlib.pbkdf2_hmac(digest, password, salt, iterations, length)
    return bytes([1]) + struct.pack(">III", prf, iterations, len(salt)) + salt + key


def bcrypt(password, setting):
    program = "my ($p, $s) = map { pack 'H*', $_ } @ARGV; print crypt($p, $s)"
    run = subprocess.run(["perl", "-e", program, password.hex(), setting.encode().hex()], capture_output=True, check=True)
    return run.stdout.decode()


def phc_pbkdf2(name, digest, password, salt, iterations, length):
    key = hashlib.pbkdf2_hmac(digest, password, salt, iterations, length)
    return f"${name}$i={iterations},l={length}${b64(salt)}${b64(key)}"


def phc_scrypt(password, salt, ln, r, p):
    key = hashlib.scrypt(password, salt=salt, n=1 << ln, r=r, p=p, maxmem=1 << 28, dklen=32)
    return f"$scrypt$ln={ln},r={r},p={p}${b64(salt)}${b64(key)}"


def django(digest, password, salt, iterations):
    key = hashlib.pbkdf2_hmac(digest, password, salt.encode(), iterations)
    return f"pbkdf2_{digest}${iterations}${salt}${base64.b64encode(key).decode()}"


def forms(text):
    password = text.encode()
    salt = salt_of(text)
    yield "identity-v2-sha1", base64.b64encode(identity_v2(password, salt)).decode()
    for prf, digest in enumerate(["sha1", "sha256", "sha512"]):
        for iterations, salt_length, length in [(10000, 16, 32), (1234, 32, 64), (1, 17, 16)]:
            made = identity_v3(password, salt_of(text, salt_length), prf, iterations, length)
            yield f"identity-v3-{digest}", base64.b64encode(made).decode()
    for name, digest, length in [("pbkdf2-sha1", "sha1", 20), ("pbkdf2", "sha1", 20), ("pbkdf2-sha256", "sha256", 32),
                                 ("pbkdf2-sha512", "sha512", 64), ("pbkdf2-sha256", "sha256", 50)]:
        yield name, phc_pbkdf2(name, digest, password, salt, 1000, length)
    for name, scheme in [("pbkdf2", pbkdf2_sha1), ("pbkdf2-sha256", pbkdf2_sha256), ("pbkdf2-sha512", pbkdf2_sha512)]:
        # Bytes whose base64 has what passlib writes as a dot.
        scheme = scheme.using(rounds=1000, salt=b"\xfb\xef\xbe" * 5)
        if "\0" not in text:
            yield name + " passlib", scheme.hash(text)
    yield "django-sha256", django("sha256", password, "c4lt0fDjango", 1000)
    yield "django-sha1", django("sha1", password, "c4lt0fDjango", 1000)
    for ln, r, p in [(10, 8, 1), (4, 1, 1), (12, 8, 3)]:
        yield "scrypt", phc_scrypt(password, salt, ln, r, p)
    if "\0" not in text:
        yield "scrypt passlib", scrypt.using(rounds=8, block_size=8, parallelism=2, salt=salt).hash(text)
        for version in "aby":
            yield f"bcrypt-2{version}", bcrypt(password, f"$2{version}$04$VM9/fM5UTS7qkLKRAQo0oO")
    kinds = {"argon2id": reference.Type.ID, "argon2i": reference.Type.I, "argon2d": reference.Type.D}
    for name, kind in kinds.items():
        made = reference.hash_secret(password, salt, time_cost=2, memory_cost=64, parallelism=2, hash_len=32, type=kind)
        yield name, made.decode()


def main():
    for text in [*PASSWORDS, NUL, DECOMPOSED]:
        for name, made in forms(text):
            print(name, json.dumps(text), made, sep="\t")
    for name, text, made in REAL:
        print(name, json.dumps(text), made, sep="\t")


main()
