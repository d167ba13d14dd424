"""
The page that says what did not work.
"""

from msgspec.json import decode
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.web.answers import problem_of
from onelogin_connector.web.console.base import Console, Given, render

TITLES = {
    401: "Please sign in",
    403: "Not permitted",
    404: "Nothing here",
    405: "Not possible here",
    421: "Unknown address",
    503: "Not possible now",
}
OTHER_TITLE = "This did not work"

TEMPLATE = "error.html"


def failure(request: Request, status: int, detail: str, action: str) -> Response:
    """
    Return a page that says what went wrong.
    """
    return render(request, TEMPLATE, status=status, **_words(status, detail, action))


def explained(console: Console, given: Given, error: Exception) -> str:
    """
    Return the same page as text, for whatever was raised.
    """
    answer = problem_of(error)
    problem = decode(bytes(answer.body))
    words = _words(answer.status_code, problem["detail"], problem["action"])
    return console.written(TEMPLATE, given, words)


def _words(status: int, detail: str, action: str) -> dict[str, object]:
    title = TITLES.get(status, OTHER_TITLE)
    return {"title": title, "code": status, "detail": detail, "action": action}
