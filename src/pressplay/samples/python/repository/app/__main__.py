"""`python3 -m app`: serve on $PORT of $HOST until stopped."""

import os

from app.items import Items
from app.server import make_server


def main() -> None:
    port = int(os.environ.get("PORT", "8000"))
    host = os.environ.get("HOST", "127.0.0.1")
    with make_server(Items(), port=port, host=host) as server:
        print(f"listening on port {server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
