"""`python -m askagain.serving.health PORT TOKEN_FILE`: status 0 if the server here answers, else a line and 1.

What a container asks to see whether it is well. Where the server listens beyond this machine, health needs the token
as everything does.
"""

import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

SECONDS = 4.0  # to wait for the answer


def complaint(port: int, token_file: Path) -> str | None:
    """What is wrong with the server at a port; None where all is well."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        token = token_file.read_text(encoding="ascii").strip()
        connection.request("GET", "/health", headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException, ValueError) as error:
        return f"no answer at port {port}: {error}"
    finally:
        connection.close()
    return None if answer.status == 200 else f"status {answer.status}: {body}"


if __name__ == "__main__":
    sys.exit(complaint(int(sys.argv[1]), Path(sys.argv[2])))
