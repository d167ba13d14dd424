"""
The signature of the Data Collector API, byte for byte.
"""

import base64
import json
import pickle
from hashlib import sha256
from hmac import new as hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.azure.signature import CONTENT_TYPE, SharedKey, decoded_key, signature
from onelogin_connector.setting import Secret

KNOWN = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "sentinel" / "datacollector_signature_vectors.json").read_text()
)
VECTORS = {vector["name"]: vector for vector in KNOWN["vectors"]}
KEY = KNOWN["key_base64"]
MOMENT = 1_459_756_800.0  # Mon, 04 Apr 2016 08:00:00 GMT


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_known_vectors_hold(vector):
    """
    Length, date and content type give the signature that was worked out beforehand.
    """
    found = signature(decoded_key(KEY), size_bytes=vector["content_length"], date=vector["x_ms_date"])
    assert found == vector["signature"]


@pytest.mark.parametrize(
    "vector", [each for each in VECTORS.values() if "body" in each], ids=lambda v: v["name"]
)
def test_headers_sign_the_bytes_of_the_body(vector):
    """
    A body with letters of several bytes is signed with its bytes, and everything signed is in the headers.
    """
    shared = SharedKey(KNOWN["workspace_id"], Secret(KEY))
    assert shared.headers(vector["body"].encode(), at=MOMENT) == {
        "authorization": vector["authorization"],
        "content-type": "application/json",
        "x-ms-date": "Mon, 04 Apr 2016 08:00:00 GMT",
    }


def test_what_must_not_match_does_not():
    """
    Counting characters, or signing a content type with a charset, gives the signatures that the service refuses.
    """
    key = decoded_key(KEY)
    ours = {
        signature(key, size_bytes=vector["content_length"], date=vector["x_ms_date"])
        for vector in VECTORS.values()
    }
    wrong = {each["signature"] for each in KNOWN["must_not_match"]}
    assert not ours & wrong
    vector = VECTORS["non-ascii body: length counts UTF-8 bytes, not characters"]
    date = vector["x_ms_date"]
    characters = signature(key, size_bytes=vector["len_in_characters"], date=date)
    charset = signature(
        key,
        size_bytes=VECTORS["ascii body"]["content_length"],
        date=date,
        content_type=f"{CONTENT_TYPE}; charset=utf-8",
    )
    assert {characters, charset} == wrong


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=80), st.integers(0, 2**32))
def test_any_body_and_key_are_signed_as_documented(body, key, at):
    """
    The five lines, written out here once more, give the same.
    """
    text = base64.b64encode(key).decode()
    headers = SharedKey("w", Secret(text)).headers(body, at=at)
    lines = f"POST\n{len(body)}\napplication/json\nx-ms-date:{headers['x-ms-date']}\n/api/logs"
    expected = base64.b64encode(hmac(key, lines.encode("ascii"), sha256).digest()).decode("ascii")
    assert headers["authorization"] == f"SharedKey w:{expected}"


@pytest.mark.parametrize(
    "key", ["", "not base64!", "AAEC AwQ=", "AAECAw", "====", KEY[:-1], f"{KEY}\n", "ключ"]
)
def test_what_is_no_key_is_said_without_repeating_it(key):
    """
    A key that was copied in part is a sentence, not a 403 later; the sentence does not hold it.
    """
    with pytest.raises(ValueError, match="Base64") as caught:
        SharedKey("w", Secret(key))
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_key_does_not_show():
    """
    Neither repr nor pickling gives the key away.
    """
    shared = SharedKey("w", Secret(KEY))
    assert KEY not in repr(shared)
    assert str(bytes(range(8))) not in repr(shared)
    assert not hasattr(shared, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(shared)
