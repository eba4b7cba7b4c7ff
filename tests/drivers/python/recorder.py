"""Runs the checks of one program in order and prints what each saw, for comparison line by line."""

import hashlib
import os
import traceback

CHECKS = []


class Target:
    """Where to connect, from the environment."""

    host = os.environ.get("DRIVER_HOST", "127.0.0.1")
    port = int(os.environ.get("DRIVER_PORT", "3306"))
    user = os.environ.get("DRIVER_USER", "app")
    password = os.environ.get("DRIVER_PASSWORD", "")
    database = os.environ.get("DRIVER_DATABASE", "drivers")
    native_user = os.environ.get("DRIVER_NATIVE_USER", "")


class Skip(Exception):
    """The check does not apply here."""


def check(function):
    CHECKS.append(function)
    return function


def show(value):
    """A value, so that equal means equal, and short."""
    if isinstance(value, (bytes, str)) and len(value) > 200:
        raw = value if isinstance(value, bytes) else value.encode()
        return f"{type(value).__name__}[{len(value)}] sha256 {hashlib.sha256(raw).hexdigest()[:16]}"
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__} {sorted(value)}"
    return repr(value)


def line(*parts):
    print(*[part if isinstance(part, str) else show(part) for part in parts], flush=True)


def rows(label, found):
    found = list(found)
    line(f"{label}: {len(found)} rows")
    for row in found[:20]:
        line("  ", " | ".join(show(value) for value in row))


def run(errors):
    """Runs all checks; `errors` are the driver's exceptions."""
    for function in CHECKS:
        print(f"## {function.__name__}", flush=True)
        try:
            function()
        except Skip as reason:
            line(f"skip {reason}")
        except errors as error:
            line("raised", describe(error))
        except Exception:  # a bug of the check itself must not hide the others
            line("FAILED", traceback.format_exc().strip().splitlines()[-1])


def describe(error):
    return f"{type(error).__name__} {' '.join(show(part) for part in error.args)}"


def expect_error(label, errors, action):
    try:
        action()
    except errors as error:
        line(f"{label}:", describe(error))
    else:
        line(f"{label}: no error")
