"""The configuration files of the demo: written at each start from what it really runs with."""

from __future__ import annotations

import json

from sqlalchemy.engine import make_url

from console.demo.settings import PASSWORD, SAMPLE_PASSWORD, USERNAME, Settings, write_private
from console.demo.storage import without_password

Value = str | int | bool
SAMPLE = f"""\
# Copy to controller.env, and put values of your own in.
JWT_SECRET_KEY=please-change-this-sample-key-before-use
{USERNAME}=demo
{PASSWORD}={SAMPLE_PASSWORD}
"""


def write_config(settings: Settings) -> None:
    """Write the files, for their owner alone, beside the one with the secret."""
    faults = settings.faults
    write_private(settings.config_file, _config(settings))
    level = "debug" if settings.is_debug else "info"
    end = "  levels: [info, warning\n" if "config-malformed" in faults else ""
    write_private(
        settings.log_config_file, f"log:\n  level: {level}\n  file: {json.dumps(str(settings.log))}\n{end}"
    )
    write_private(settings.sample_file, SAMPLE)
    if "two-values" in faults:
        with settings.env_file.open("a", encoding="utf-8") as file:
            file.write("DB_MAX_OVERFLOW=4\n")
    if "secret-file-open" in faults:
        settings.env_file.chmod(0o644)
    if "key-file-open" in faults and settings.is_tls:
        settings.key_file.chmod(0o644)


def _config(settings: Settings) -> str:
    server: dict[str, Value] = {"workers": 1, "debug": settings.is_debug, "reload": False}
    if settings.is_tls:
        server["tls_key_file"] = str(settings.key_file)
    sections: dict[str, dict[str, Value]] = {
        "server": server,
        "database": {
            "url": without_password(make_url(settings.database_url)),
            "pool_size": settings.pool_size,
            "max_overflow": settings.max_overflow,
            "pool_timeout_s": settings.pool_timeout_s,
            "pool_recycle_s": settings.pool_recycle_s,
        },
        "tokens": {"lifetime_s": settings.token_lifetime_s},
        "log": {"max_bytes": settings.log_max_bytes, "backups": settings.log_backups},
    }
    # JSON writes texts, whole numbers, true and false as TOML does.
    lines = ["# Written by the demo target at each start: what it runs with."]
    for name, values in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"
