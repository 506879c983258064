"""The requests of a websocket client: SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS.

A stream that the venue does not have, or that is on another path, is acknowledged and stays silent, as on Binance.
"""

from typing import Any

import orjson

from mikrobot.market.local_venue.connections import Connection

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS")


def reply_to(text: str, connection: Connection) -> dict[str, Any]:
    """Carry out a request and return its answer."""
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
    if not isinstance(request, dict) or "method" not in request:
        return {"code": 2, "msg": "Invalid request: missing field `method` at line 1 column 1"}
    number = request.get("id")
    if number is not None and not isinstance(number, int | str):
        return {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer", "id": None}
    if request["method"] not in _METHODS:
        return {"code": 2, "msg": f"Invalid request: unknown variant `{request['method']}`", "id": number}
    if request["method"] == "LIST_SUBSCRIPTIONS":
        return {"result": list(connection.streams), "id": number}
    streams = request.get("params")
    if not isinstance(streams, list) or not streams or not all(isinstance(stream, str) for stream in streams):
        return {"code": 2, "msg": "Invalid request: params must be an array of stream names", "id": number}
    if request["method"] == "UNSUBSCRIBE":
        for stream in streams:
            connection.streams.pop(stream, None)
    elif len(connection.streams.keys() | set(streams)) > connection.market.most_streams:
        return {"code": 2, "msg": f"Invalid request: more than {connection.market.most_streams} streams", "id": number}
    else:
        connection.streams |= dict.fromkeys(streams)
    return {"result": None, "id": number}
