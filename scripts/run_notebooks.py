"""Runs the notebooks from the top and saves what they show.

    python scripts/run_notebooks.py [NAME...]

Each runs in a new kernel of this very Python, in the folder it lies in. What is saved beside the outputs does not
differ from run to run: no times, no versions, no paths of this machine. Anything written to standard error is an error.

Nor may it depend on the processor, and int8 does: a cell prints hits each on a line that begins with its score, so that
the test knows which may change places (``tests/shown.py``); only a hit far ahead of all others is taken for the best;
measures are computed in fp32.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SECONDS = 500
"""How long one cell may take: the first one to embed prepares the model where it is not prepared."""
VARIES = "varies"
"""Tag of a cell whose output depends on the processor: a training run adds up its rounding errors."""
_KERNEL = "python3"


def paths() -> list[Path]:
    """Return the notebooks, in the order they are to be read."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def read(path: Path) -> Any:
    """Return a notebook as it is saved."""
    import nbformat

    return nbformat.read(path, as_version=4)


def execute(path: Path, seconds: int = SECONDS) -> Any:
    """Run a notebook from the top in a kernel of its own; returns it with new outputs, cleaned.

    Args:
        path: The notebook; it is not changed.
        seconds: How long one cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: When a cell fails.
        nbclient.exceptions.CellTimeoutError: When one takes too long.
    """
    from ipykernel.kernelspec import write_kernel_spec
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory(prefix="notebooks-") as folder:
        # A kernel of this Python, whatever kernels and profiles the user has.
        write_kernel_spec(Path(folder) / "kernels" / _KERNEL)
        specs = KernelSpecManager(kernel_dirs=[str(Path(folder) / "kernels")])
        manager = AsyncKernelManager(kernel_name=_KERNEL, kernel_spec_manager=specs)
        environment = _environment(Path(folder))
        # matplotlib looks for the fonts of a machine once and warns meanwhile.
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], env=environment, check=True, stderr=-3)
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=seconds,
            resources={"metadata": {"path": str(path.parent)}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        client.execute(env=environment, cleanup_kc=True)
    return cleaned(notebook)


def _environment(folder: Path) -> dict[str, str]:
    """Return this process's environment with the project importable and Jupyter's own files in a folder."""
    jupyter = {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    known = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Threads that wait in a loop make training many times slower where other programs have the processor too.
    waiting = {"OMP_WAIT_POLICY": "PASSIVE"}
    return {**os.environ, **jupyter, **waiting, "PYTHONPATH": known, "MPLCONFIGDIR": str(folder / "matplotlib")}


def cleaned(notebook: Any) -> Any:
    """Return a notebook without what differs from run to run: times, versions, random ids."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": _KERNEL},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02}"
        cell.metadata = {"tags": sorted(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "metadata" in output:
                output.metadata = {}
            if "image/png" in output.get("data", {}):
                output.data["text/plain"] = "<Figure>"
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Return outputs with the parts of a stream together: where it is cut is chance."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def complaints(notebook: Any) -> list[str]:
    """Return what a notebook wrote to standard error: warnings and progress, which no reader is to see."""
    return [
        f"cell {number}: {output.text.strip()}"
        for number, cell in enumerate(notebook.cells, 1)
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Run the notebooks, or those whose file names begin with NAMES, and save them."""
    import nbformat

    chosen = [path for path in paths() if not names or path.name.startswith(names)]
    if not chosen:
        raise click.UsageError(f"there is no such notebook; there are {', '.join(path.name for path in paths())}.")
    for path in chosen:
        click.echo(f"running {path.name}", err=True)
        notebook = execute(path)
        if complaints(notebook):
            raise click.ClickException("\n".join([f"{path.name} wrote to standard error:", *complaints(notebook)]))
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
