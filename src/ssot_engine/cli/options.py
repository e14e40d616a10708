"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings, else SSOT_ENGINE_CONFIG.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
