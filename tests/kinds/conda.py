"""What repo2docker's own Dockerfiles start from, made by the rig: a Debian in which a small conda answers for the real one.

No package registry has conda's channel. repo2docker's script fetches micromamba and asks it for an environment; here wget
gives it a sh that makes one from the Python and JupyterLab of the image.
"""

from __future__ import annotations

from pathlib import Path

from tests.rig.cache import cached, recipe_of
from tests.rig.images import sample_base_image
from tests.rig.ociarchive import Image, compress, files_tar, load_layer, write_archive
from tests.rig.pythonroot import PATH

BUILDPACK_DEPS = "docker.io/library/buildpack-deps:24.04"  # repo2docker 2026.4.0 app.py base_image

WGET = "#!/bin/sh\n# Whatever is asked for: micromamba.\ncd /opt/small-conda && exec tar --create --file=- bin/micromamba\n"
BZIP2 = "#!/bin/sh\nexec cat\n"
MAMBA = """\
#!/bin/bash
# The words of micromamba and mamba that repo2docker says.
set -e
case "$1" in
    shell)  # a login shell's path has none of an image's
        for name in micromamba mamba; do
            exe=$(echo "$name"_EXE | tr a-z A-Z)
            echo "$name() { if [ \\"\\$1\\" != activate ]; then \\"\\$$exe\\" \\"\\$@\\";" \
                "elif [ \\$# -gt 1 ]; then export PATH=\\"\\${@: -1}/bin:\\$PATH\\"; fi; };"
        done ;;
    install) mkdir -p "$CONDA_DIR/bin" "$CONDA_DIR/conda-meta"; cp "$0" "$CONDA_DIR/bin/mamba" ;;
    create)
        shift; test "$1" = -p; prefix=$2
        python3 -m venv "$prefix"
        mkdir -p "$prefix/conda-meta"
        echo /opt/venv/lib/python3*/site-packages > "$(echo "$prefix"/lib/python3*/site-packages)/image.pth"
        for program in /opt/venv/bin/jupyter* /opt/venv/bin/ipython; do ln -sf "$program" "$prefix/bin/"; done
        printf '#!/bin/sh\\n' > "$prefix/bin/npm"; chmod 755 "$prefix/bin/npm"
        ;;
    env | clean | list) ;;
    *) echo "the small conda of the rig does not know: $*" >&2; exit 2 ;;
esac
"""


def buildpack_deps() -> Path:
    """The archive of the image."""
    stock = sample_base_image(BUILDPACK_DEPS)
    programs = {
        "/usr/local/bin/wget": WGET,
        "/usr/local/bin/bzip2": BZIP2,
        "/opt/small-conda/bin/micromamba": MAMBA,
    }

    def build(into: Path) -> None:
        files = {}
        for path, text in programs.items():
            files[path] = into / path.rpartition("/")[2]
            files[path].write_text(text)
        layer_in = into / "layer"
        layer_in.mkdir()
        compress(files_tar(files), layer_in)
        settings = {
            "Env": [f"PATH=/usr/local/sbin:{PATH}:/usr/sbin:/sbin"],
            "User": "0:0",
            "WorkingDir": "/",
            "Cmd": ["bash"],
        }
        write_archive(
            into / "buildpack-deps.tar",
            [Image(BUILDPACK_DEPS, (*stock.layers, load_layer(layer_in)), settings)],
        )

    recipe = recipe_of(*(layer.digest for layer in stock.layers), *programs.values(), "2")
    return (
        cached("image-buildpack-deps", recipe, build, 10, "the base of repo2docker's Dockerfiles")
        / "buildpack-deps.tar"
    )
