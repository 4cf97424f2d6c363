import sys
from pathlib import Path

from conformance import compare, files


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) == 2 else sys.exit("Usage: make golden DIR=FOLDER")
    if not folder.is_dir() or not (paths := files(folder)):
        sys.exit(f"There are no reference files (.npz, .json) in {folder}.")
    found = []
    for path in paths:
        found.append(compare(path))
        print(found[-1].line, flush=True)
    passed = sum(one.passed for one in found)
    print(f"{len(found)} files: {passed} pass, {len(found) - passed} FAIL")
    sys.exit(passed < len(found))


if __name__ == "__main__":
    main()
