"""An identity provider: gives signed tokens to every client that has the secret."""

import base64
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

AUDIENCE = "kafka"
_KEY_ID = "first"


def _text(raw: bytes) -> str:
    """Return bytes as tokens have them."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class IdentityProvider:
    """Serves `url` until it is closed; `keys` is the file by which a broker verifies the tokens.

    The client's ID becomes the user's name in Kafka.
    """

    def __init__(self, folder: Path, client_secret: str) -> None:
        self._key = folder / "tokens.key"
        self._openssl("genrsa", "-out", str(self._key), "2048")
        modulus = self._openssl("rsa", "-in", str(self._key), "-noout", "-modulus").decode().strip()
        number = bytes.fromhex(modulus.partition("=")[2])
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": _KEY_ID, "n": _text(number), "e": "AQAB"}
        self.keys = folder / "keys.json"
        self.keys.write_text(json.dumps({"keys": [key]}))
        self._secret = client_secret
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="identity provider")
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def token(self, user: str) -> str:
        """Return a signed token for a user."""
        now = int(time.time())
        head = {"alg": "RS256", "typ": "JWT", "kid": _KEY_ID}
        claims = {"sub": user, "aud": AUDIENCE, "iat": now, "exp": now + 600}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (head, claims))
        signature = self._openssl("dgst", "-sha256", "-sign", str(self._key), of=signed.encode())
        return f"{signed}.{_text(signature)}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                given = base64.b64decode((self.headers.get("Authorization") or " ").split(" ", 1)[1])
                user, _, secret = given.decode().partition(":")
                known = secret == provider._secret
                answer = {"access_token": provider.token(user)} if known else {"error": "invalid_client"}
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _openssl(self, *arguments: str, of: bytes = b"") -> bytes:
        return subprocess.run(["openssl", *arguments], input=of, capture_output=True, check=True).stdout
