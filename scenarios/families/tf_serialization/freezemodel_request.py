"""Ask the server what the seed asks it, and what it has to refuse."""

import json
import os
import re
import typing
import urllib.error
import urllib.request
from http.client import HTTPConnection

from common import digest, marker
from common.errors import refuse
from families.tf_serialization import classifier

SECONDS = 60
# Byte for byte as the seed shows its requests and answers.
SHOWN = (
    ('{"x": [[0,1,2,3,4,5,6,7,8,9]]}', '{"y": [[false]]}'),
    ('{"x": [[0,1,2,3,4,5,6,7,8,9],[5,5,5,5,5,5,5,5,5,5]]}', '{"y": [[false], [true]]}'),
)
NINE = "1,2,3,4,5,6,7,8,9"
BAD = (
    ("no body", ""),
    ("no JSON", "{"),
    ("no text", b"\xff\xfe"),
    ("JSON beyond all depth", "[" * 100000),
    ("no x", '{"y": [[%s,0]]}' % NINE),
    ("x that is no list", '{"x": 1}'),
    ("no row", '{"x": []}'),
    ("a row of nine numbers", '{"x": [[%s]]}' % NINE),
    ("a row of eleven numbers", '{"x": [[%s,0,0]]}' % NINE),
    ("rows in rows", '{"x": [[[%s,0]]]}' % NINE),
    ("a word among the numbers", '{"x": [[%s,"a"]]}' % NINE),
    ("a bool among the numbers", '{"x": [[%s,true]]}' % NINE),
    ("null among the numbers", '{"x": [[%s,null]]}' % NINE),
    ("NaN among the numbers", '{"x": [[%s,NaN]]}' % NINE),
    ("a number beyond float32", '{"x": [[%s,1e39]]}' % NINE),
    ("a number beyond float64", '{"x": [[%s,1%s]]}' % (NINE, "0" * 400)),
)


# The status, the content type and the body of an answer.
Answered = typing.Tuple[int, typing.Optional[str], str]


def main(url: str) -> None:
    predict = url + "/api/predict"
    for number, (request, expected) in enumerate(SHOWN, 1):
        status, kind, answer = ask(predict, request)
        marker.claim(f"the answer to the seed's request {number}", expected, answer)
        marker.claim(f"the status of answer {number}", 200, status)
        marker.claim(f"the content type of answer {number}", "application/json", kind)
    for name, bad in BAD:
        marker.claim(f"the status for {name}", 400, refusal(ask(predict, bad)))
    marker.claim("the status for another path", 404, refusal(ask(url + "/api/x", SHOWN[0][0])))
    marker.claim("the status for GET", 405, refusal(ask(predict, None)))
    marker.claim("the status for a huge body", 413, huge(url))
    marker.claim("the answer after all of these", SHOWN[1][1], ask(predict, SHOWN[1][0])[2])
    digest.predictions(scores(url), "restored")


def ask(url: str, text: typing.Union[str, bytes, None]) -> Answered:
    """`(status, content type, body)` of a POST of text or bytes, or of a GET for None."""
    data = text.encode("ascii") if isinstance(text, str) else text
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        response = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        kind = response.headers.get("Content-Type")
        return response.getcode(), kind, response.read().decode("utf-8")


def refusal(answered: Answered) -> typing.Union[int, str]:
    """The status, if the body is a JSON object with an error of one line; else words on that."""
    status, kind, body = answered
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"{status} without an error in JSON"
    fine = kind == "application/json" and error and "\n" not in error
    return status if fine else f"{status} without an error of one line"


def huge(url: str) -> typing.Union[int, str]:
    """The status for a request that announces a gigabyte, and sends none of it."""
    connection = HTTPConnection(url.partition("//")[2], timeout=SECONDS)
    try:
        connection.putrequest("POST", "/api/predict")
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders()
        response = connection.getresponse()
        kind = response.getheader("Content-Type")
        return refusal((response.status, kind, response.read().decode("utf-8")))
    finally:
        connection.close()


def scores(url: str) -> typing.Any:
    """float32 [16, 1]: the server's scores of the fixed batch."""
    import numpy as np

    rows = classifier.fixed_batch().tolist()
    status, _, body = ask(url + "/api/scores", json.dumps({"x": rows}))
    marker.claim("the status for the fixed batch", 200, status)
    return np.asarray(json.loads(body)["scores"], np.float32)


if __name__ == "__main__":
    server = os.environ.get("SERVER_URL", "").rstrip("/")
    if not re.match(r"http://[^/]+$", server):
        refuse(f"SERVER_URL is {server!r}; it must be like http://server:5000")
    main(server)
    marker.emit("done")
