"""What of a command line may be shown."""

from __future__ import annotations

import pytest

from checks.probe.command import shown_command
from checks.probe.redaction import Redactor

SECRET = "c4n4ry-Zq8vP2xW"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("python -m uvicorn chat.app:app --host 0.0.0.0 --port 8000", "as it is"),
        ("/venv/bin/python3.12 /venv/bin/uvicorn chat.app:app --workers 4 --reload", "as it is"),
        ("uvicorn --app-dir src --reload chat.app:app --port=8000", "as it is"),
        ("gunicorn -w 4 -b 127.0.0.1:8000 chat.wsgi:app", "as it is"),
        ("python -u serve.py", "as it is"),
        ("fastapi run main.py --port 8000", "fastapi *** main.py --port 8000"),
        ("node server.js s3cret", "node *** ***"),
        ("chat -m s3cret -b s3cret -w s3cret", "chat -m *** -b *** -w ***"),
        ("python serve.py -m s3cret", "python serve.py -m ***"),
        ("python -c print(1) s3cret", "python -c *** ***"),
        ("python serve.py chat.app:s3cret", "python serve.py ***"),
        ("uvicorn chat.app:app user:s3cret", "uvicorn chat.app:app ***"),
        (
            "uvicorn --ssl-keyfile-password user:s3cret chat.app:app",
            "uvicorn --ssl-keyfile-password *** chat.app:app",
        ),
        ("server --token=s3cret --port=80 -ps3cret --s3cr!t", "server --token=*** --port=80 *** ***"),
    ],
)
def test_only_what_is_known_to_be_harmless_is_shown(arguments: str, expected: str) -> None:
    shown = shown_command(arguments.split(), Redactor())
    assert shown == (arguments if expected == "as it is" else expected)


@pytest.mark.parametrize("place", [4, 5, 7])
@pytest.mark.parametrize(
    "form", ["{}", "--password {}", "-p {}", "-p{}", "--key={}", "admin:{}", "--x={}", "k={}"]
)
def test_a_secret_is_masked_wherever_it_stands(place: int, form: str) -> None:
    parts = ["python", "-m", "uvicorn", "chat.app:app", "--reload", "--port", "8000"]
    parts[place:place] = form.format(SECRET).split()
    assert SECRET not in shown_command(parts, Redactor())


def test_a_known_secret_is_masked_even_where_values_are_shown() -> None:
    assert SECRET not in shown_command(["python", f"{SECRET}.py", "--port", SECRET], Redactor([SECRET]))


def test_a_long_or_empty_command_line_is_bounded_and_clean() -> None:
    assert shown_command([], Redactor()) == ""
    assert len(shown_command(["server", *["--flag"] * 1000], Redactor())) <= 400
    assert "\x1b" not in shown_command(["ser\x1b[31mver"], Redactor())
