"""Commands over HTTP: each by path (GET and POST) and by JSON-RPC 2.0 (POST / and /rpc), with basic authentication.

    GET  /status                                    the answer's body is the JSON result itself
    POST /market_order  {"account": ..., ...}
    POST /rpc           {"jsonrpc": "2.0", "method": "market_order", "params": {...}, "id": 1}
    GET  /health        without authentication: 200 when orders can be taken, else 503
    GET  /openapi.json, /openrpc.json               what there is, for programs

Answers: 200 with the result, or with {"status": "Error", "errorMsg": ..., "reason": CODE} for what was refused; 400 for
arguments that cannot be read, 401, 403, 404, 405, 413, 500 (one sentence, the traceback is in the log), 503 with the
body `false` before the venue is up, 504 when a venue did not answer in time.
"""

from txgateway.servers.http.answers import HttpSettings
from txgateway.servers.http.outside import Elsewhere, make_outside
from txgateway.servers.http.site import make_site

__all__ = ["Elsewhere", "HttpSettings", "make_outside", "make_site"]
