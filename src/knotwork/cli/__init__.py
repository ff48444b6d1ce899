"""The command line: parses arguments, calls, asks report to draw, prints."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ..report.text import one_line
from . import bootstrap, comparing, fits, networks, papers, proofs
from ._shared import app

__all__ = ["app", "bootstrap", "comparing", "fits", "main", "networks", "papers", "proofs"]


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        typer.echo(f"knotwork {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 after an error of the user's."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    often = gc.get_threshold()
    # what the imports make lives on: looking through it again and again costs a sixth of a small fit
    gc.set_threshold(100_000, 20, 20)
    try:
        code = app(args=arguments, prog_name="knotwork", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read our output (head, say) has gone; the exit would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (typer.Abort, KeyboardInterrupt):
        print("knotwork: aborted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, NotImplementedError, ImportError, OSError) as error:
        return _complain(str(error))
    except Exception as error:
        # typer has no public name for the base of its complaints about arguments
        if not hasattr(error, "format_message"):
            raise
        return _complain(error.format_message())  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        gc.set_threshold(*often)
    return code if isinstance(code, int) else 0


def _complain(message: str) -> int:
    print(f"knotwork: error: {one_line(message)}", file=sys.stderr)
    return 2
