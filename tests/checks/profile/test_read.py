"""Reading a profile: what it yields, and the sentence for everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.model import ProfileError
from checks.profile.read import load_target, target_for_url

BASE = '[target]\nurl = "http://127.0.0.1:8000"\n'
HIDDEN = "hunter2-canary"


def write(folder: Path, text: str, name: str = "gonogo.toml") -> Path:
    """A profile with `text`."""
    path = folder / name
    path.write_text(text)
    return path


def refusal(path: Path, environ: dict[str, str] | None = None) -> str:
    """The sentence with which the profile is refused."""
    with pytest.raises(ProfileError) as caught:
        load_target(path, environ or {})
    return str(caught.value)


def test_a_profile_of_two_lines_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path, BASE)
    target = load_target(path, {})
    assert (target.url, target.path, target.contract.name) == ("http://127.0.0.1:8000", path, "port8000")
    assert (target.database_url, target.credentials.password) == ("", "")


def test_a_target_by_its_url_has_every_default_and_no_file() -> None:
    target = target_for_url("http://127.0.0.1:8000/", {"GONOGO_USERNAME": "u", "GONOGO_PASSWORD": HIDDEN})
    assert (target.path, target.url) == (None, "http://127.0.0.1:8000")
    assert (target.credentials.username, target.credentials.password) == ("u", HIDDEN)
    assert HIDDEN not in repr(target)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 0, '[target] url is missing: add a section [target] with url = "http'),
        ("[target]\n", 1, "[target] url is missing"),
        ("[target\nurl = 1", 1, "column 8 is not valid TOML"),
        (f'{BASE}x = """{HIDDEN}\n\n', 5, "is not valid TOML (Unterminated string)"),
        ('url = "http://h"\n' + BASE, 1, '"url" is not known here: it belongs below [target]'),
        (BASE + '[walktrough]\nreply = "any"', 3, '"walktrough" is not known: write "walkthrough"'),
        ("target = 3", 1, "[target] is a whole number, not a table: write [target]"),
        ("[target]\nurl = 5", 2, "[target] url is a whole number: give a text in quotes"),
        ("[target]\nurl = 2026-01-01", 2, "[target] url is a date or time: give a text in quotes"),
        (BASE + "[walkthrough]\nlaunch_within = 5", 4, 'launch_within is not known: write "launch_within_s"'),
        (
            BASE + "[process]\nkill_bot = true",
            4,
            "kill_bot is not known here: it belongs below [walkthrough]",
        ),
        (
            BASE + "[walkthrough]\n\nreply_within_s = -1",
            5,
            "[walkthrough] reply_within_s is out of range: give seconds",
        ),
        (BASE + "[walkthrough]\ntimeout_s = 0", 4, "[walkthrough] timeout_s is out of range"),
        (BASE + "[walkthrough]\ntimeout_s = inf", 4, "[walkthrough] timeout_s is out of range"),
        (BASE + "[walkthrough]\ntimeout_s = nan", 4, "[walkthrough] timeout_s is out of range"),
        (BASE + "[walkthrough]\ntimeout_s = 90000", 4, "[walkthrough] timeout_s is out of range"),
        (
            BASE + "[walkthrough]\ntimeout_s = true",
            4,
            "[walkthrough] timeout_s is true or false: give a number",
        ),
        (BASE + '[walkthrough]\nreply = "ehco"', 4, 'give "any" or "echo"'),
        (BASE + '[walkthrough]\nbot_type = ""', 4, "[walkthrough] bot_type is empty"),
        (BASE + 'contract = "port80"', 3, "[target] contract is not known: use one of port8000"),
        (BASE + 'authorized = [\n  "a",\n  "http://b",\n]', 5, "[target] authorized[1] is not a host"),
        (
            BASE + 'authorized = ["a", 5]',
            3,
            "[target] authorized[1] is a whole number: give a text in quotes",
        ),
        (BASE + 'ca_file = "absent.pem"', 3, "absent.pem, which cannot be read (no such file or directory)"),
        (BASE + "[process]\nport = 70000", 4, "[process] port is out of range: give 1 to 65535"),
        (BASE + "[process]\npid = -1", 4, "[process] pid is out of range"),
        (BASE + '[console.keys]\nrun-all = " "', 4, "[console] keys.run-all is empty: give a key"),
        (BASE + '[console.keys]\n"" = "A"', 4, "is empty: give a key"),
        (BASE + '[report]\nprefix = "../x"', 4, "[report] prefix cannot begin a file name"),
        (BASE + '[report]\nfolder = ""', 4, "[report] folder is empty"),
        (BASE + f'[credentials]\npassword = "{HIDDEN}"', 4, "[credentials] password must not be here"),
        (BASE + f'password = "{HIDDEN}"', 3, "set the variable named by [credentials]"),
        (BASE + f'[database]\npassword = "{HIDDEN}"', 4, "set the variable named by [database] url_env"),
        (BASE + f'[credentials]\npassword_env = "{HIDDEN}"', 4, "is not the name of an environment variable"),
        (BASE + f'[database]\nurl = "postgresql://u:{HIDDEN}@h/d"', 4, "the variable GONOGO_DATABASE_URL"),
        (BASE + f'[database]\nurl = "postgresql://h/d?password={HIDDEN}"', 4, "carries a password"),
        (
            BASE + '[database]\nurl = "mysql://h/d"',
            4,
            "give a path to a SQLite file, sqlite:///PATH or postgresql://",
        ),
        (BASE + '[database]\nurl = "sqlite://"', 4, "names no file: write sqlite:///PATH"),
        (BASE + '[database]\nurl = "sqlite:///:memory:"', 4, "names no file"),
        ("a = " + "[" * 20000 + "]" * 20000, 0, "is nested too deeply"),
    ],
)
def test_each_mistake_is_told_with_key_line_and_fix(tmp_path: Path, text: str, line: int, says: str) -> None:
    told = refusal(write(tmp_path, text))
    assert says in told
    assert f"gonogo.toml, line {line}" in told if line else "gonogo.toml" in told
    assert told.count("\n") == 0 and told.endswith(".")
    assert HIDDEN not in told


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host", "is neither http nor https"),
        ("127.0.0.1:8000", "is neither http nor https"),
        ("http://", "has no host"),
        ("http://:8000", "has no host"),
        ("http://a b", "has no host"),
        ("http://a\\tb", "has no host"),
        ("http://host:99999", "is not a URL"),
        ("http://host:x", "is not a URL"),
        ("http://[::1", "is not a URL"),
        ("http://host:0", "has port 0"),
        (f"http://user:{HIDDEN}@host", "has a user name or password in it"),
        (f"http://{HIDDEN}@host", "has a user name or password in it"),
        (f"http://host/?key={HIDDEN}", "has a query or fragment"),
        ("http://host/#x", "has a query or fragment"),
    ],
)
def test_a_bad_url_is_refused_without_showing_it(tmp_path: Path, url: str, says: str) -> None:
    told = refusal(write(tmp_path, f'[target]\nurl = "{url}"'))
    assert f"line 2: [target] url {says}" in told
    assert HIDDEN not in told
    with pytest.raises(ProfileError, match="url"):
        target_for_url(url.replace("\\t", "\t"), {})


@pytest.mark.parametrize(
    "url", ["https://[::1]:8443", "http://chat.example/prefix", "http://a_b-c.internal:80/"]
)
def test_good_urls(url: str) -> None:
    assert target_for_url(url, {}).url == url.rstrip("/")


def test_a_file_that_is_no_text_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "gonogo.toml"
    path.write_bytes(BASE.encode() + b'name = "\xff"\n')
    assert f"{path}, line 3 is not UTF-8 text" in refusal(path)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "gonogo init" in refusal(tmp_path / "absent.toml")
    assert "cannot be read (is a directory)" in refusal(tmp_path)
    (tmp_path / "huge.toml").write_bytes(b"#" * (2 << 20))
    assert "longer than 1 MiB" in refusal(tmp_path / "huge.toml")


def test_files_of_the_profile_are_taken_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "profile", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    write(folder, "GONOGO_PASSWORD=p\n", "secrets.env").chmod(0o600)
    path = write(
        folder,
        BASE
        + '[credentials]\nfile = "secrets.env"\n[log]\nfile = "logs/c.log"\n[database]\nurl = "chat 1.db"\n',
    )
    target = load_target(path, {})
    assert target.credentials.password == "p"
    assert target.profile.log.file == str(folder / "logs/c.log")
    assert target.database_url == f"sqlite:///{folder}/chat%201.db"
    monkeypatch.chdir(folder)
    relative = load_target(Path("gonogo.toml"), {})
    assert relative.path == path
    assert relative.database_url == target.database_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////var/chat.db", "sqlite:////var/chat.db"),
        ("sqlite+aiosqlite:///data/chat.db", "sqlite:///{folder}/data/chat.db"),
        ("/var/chat.db", "sqlite:////var/chat.db"),
        ("postgresql://app@db/chat", "postgresql://app@db/chat"),
        ("postgres://db:5432/chat?sslmode=require", "postgresql://db:5432/chat?sslmode=require"),
        ("postgresql+asyncpg://app@db/chat", "postgresql://app@db/chat"),
    ],
)
def test_the_database_is_a_path_or_a_url(tmp_path: Path, url: str, expected: str) -> None:
    target = load_target(write(tmp_path, f'{BASE}[database]\nurl = "{url}"'), {})
    assert target.database_url == expected.format(folder=tmp_path)


def test_the_variable_with_the_database_url_wins_with_its_password(tmp_path: Path) -> None:
    path = write(tmp_path, BASE + '[database]\nurl = "/a.db"\nurl_env = "CHAT_DB"')
    url = f"postgresql://u:{HIDDEN}@h/d"
    assert load_target(path, {"CHAT_DB": url}).database_url == url
    assert load_target(path, {"CHAT_DB": ""}).database_url == "sqlite:////a.db"
    told = refusal(path, {"CHAT_DB": f"mysql://u:{HIDDEN}@h/d"})
    assert "line 5: [database] url_env names a database that this version cannot read" in told
    assert HIDDEN not in told


def test_a_path_with_marks_of_a_url_reaches_the_file(tmp_path: Path) -> None:
    make = pytest.importorskip("sqlalchemy").make_url
    target = load_target(write(tmp_path, BASE + '[database]\nurl = "50%?#@:x.db"'), {})
    assert make(target.database_url).database == str(tmp_path / "50%?#@:x.db")


def test_an_untrusted_file_is_no_certificate(tmp_path: Path) -> None:
    write(tmp_path, "no certificate", "ca.pem")
    assert "which holds no certificate: give a file in PEM form" in refusal(
        write(tmp_path, BASE + 'ca_file = "ca.pem"')
    )
