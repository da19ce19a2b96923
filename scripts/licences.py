"""Lists the licences of all installed packages that askagain depends on: `python scripts/licences.py`."""

from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table

ROOT = "askagain"
EXTRAS = ("", "data", "report", "search", "train", "vectors", "wandb")  # that requirements.txt installs
LONGEST = 60  # characters of a licence's name; some packages put its whole text there


def main() -> None:
    """Prints a table of packages, versions, licences, and which package asks for each."""
    table = Table("package", "version", "licence", "asked for by")
    for name, (package, askers) in sorted(dependencies().items()):
        table.add_row(name, package.version, licence(package), ", ".join(sorted(askers)[:3]))
    Console().print(table)


def dependencies() -> dict[str, tuple[Distribution, set[str]]]:
    """The installed packages that askagain asks for, directly or through others, by name."""
    found: dict[str, tuple[Distribution, set[str]]] = {}
    waiting = [ROOT]
    while waiting:
        asker = waiting.pop()
        for line in distribution(asker).requires or []:
            requirement = Requirement(line)
            extras = EXTRAS if asker == ROOT else ("",)
            if requirement.marker is not None and not any(map(_applies(requirement.marker), extras)):
                continue  # of an extra, or of another system
            name = canonicalize_name(requirement.name)
            if name == ROOT:
                continue
            if name in found:
                found[name][1].add(asker)
                continue
            try:
                found[name] = (distribution(name), {asker})
            except PackageNotFoundError:
                continue  # not installed here
            waiting.append(name)
    return found


def _applies(marker: Marker) -> Callable[[str], bool]:
    return lambda extra: marker.evaluate({"extra": extra})


def licence(package: Distribution) -> str:
    """The licence that a package states: as an expression, else as classifiers, else as free text."""
    fields = package.metadata.json
    stated = str(fields.get("license_expression", ""))
    if not stated:
        names = [str(one).rpartition(" :: ")[2] for one in fields.get("classifier", ()) if "License ::" in str(one)]
        stated = ", ".join(names) or (str(fields.get("license", "")) or "not stated").splitlines()[0]
    return stated if len(stated) <= LONGEST else stated[:LONGEST] + "..."


if __name__ == "__main__":
    main()
