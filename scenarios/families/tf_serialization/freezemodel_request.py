"""Ask the server what the seed asks it, and what it has to refuse."""

import json
import os
import re
import urllib.error
import urllib.request
from http.client import HTTPConnection

from common import claim, digest, marker
from common.phase import refuse
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


def main(url):
    predict = url + "/api/predict"
    for number, (request, expected) in enumerate(SHOWN, 1):
        status, kind, answer = ask(predict, request)
        claim.state("the answer to the seed's request {}".format(number), expected, answer)
        claim.state("the status of answer {}".format(number), 200, status)
        claim.state("the content type of answer {}".format(number), "application/json", kind)
    for name, request in BAD:
        claim.state("the status for {}".format(name), 400, refusal(ask(predict, request)))
    claim.state("the status for another path", 404, refusal(ask(url + "/api/x", SHOWN[0][0])))
    claim.state("the status for GET", 405, refusal(ask(predict, None)))
    claim.state("the status for a huge body", 413, huge(url))
    claim.state("the answer after all of these", SHOWN[1][1], ask(predict, SHOWN[1][0])[2])
    digest.predictions(scores(url), "restored")


def ask(url, text):
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


def refusal(answered):
    """The status, if the body is a JSON object with an error of one line; else words on that."""
    status, kind, body = answered
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return "{} without an error in JSON".format(status)
    fine = kind == "application/json" and error and "\n" not in error
    return status if fine else "{} without an error of one line".format(status)


def huge(url):
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


def scores(url):
    """float32 [16, 1]: the server's scores of the fixed batch."""
    import numpy as np

    rows = classifier.fixed_batch().tolist()
    status, _, body = ask(url + "/api/scores", json.dumps({"x": rows}))
    claim.state("the status for the fixed batch", 200, status)
    return np.asarray(json.loads(body)["scores"], np.float32)


if __name__ == "__main__":
    server = os.environ.get("SERVER_URL", "").rstrip("/")
    if not re.match(r"http://[^/]+$", server):
        refuse("SERVER_URL is {!r}; it must be like http://server:5000".format(server))
    main(server)
    marker.emit("done")
